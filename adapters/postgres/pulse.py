"""Asks PostgreSQL for a sign of life, on a connection of its own: a server that hangs is known before anybody waits.

One statement that touches nothing, so that a slow query, a lock or a full disk is not taken for a server that is gone.
"""

from psycopg import Error

from adapters.postgres import patience
from adapters.postgres.engine import APPLICATION_NAME, CONNECT_TIMEOUT_SECONDS, Unavailable, driver_url

_CONNECT_SECONDS = 1.0
"""A new connection takes a process there and a key exchange: more than an answer on one that stands."""


class PostgresPulse:
    """One connection that is asked again and again; not for two threads at once."""

    def __init__(self, url: str, *, seconds: float) -> None:
        """Connect nothing yet.

        Args:
            url: server, database and role.
            seconds: what an answer may take.
        """
        self._url = driver_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._seconds = max(0.0, seconds - patience.SLACK_SECONDS)
        self._connection: patience.LimitedConnection | None = None

    def __call__(self) -> None:
        """Wait for one answer.

        Raises:
            Unavailable: it did not come in time, or there is no connection.
        """
        try:
            connection = self._connected()
            with patience.no_longer_than(lambda: self._seconds):
                connection.execute("SELECT 1")
        except Error as error:
            self.close()
            raise Unavailable(f"PostgreSQL gives no sign of life ({type(error).__name__})") from None

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> patience.LimitedConnection:
        if self._connection is None:
            most = max(self._seconds, _CONNECT_SECONDS)
            with patience.no_longer_than(lambda: most):
                self._connection = patience.dial(
                    most,
                    self._url,
                    autocommit=True,
                    connect_timeout=CONNECT_TIMEOUT_SECONDS,
                    application_name=f"{APPLICATION_NAME}-pulse",
                )
        return self._connection
