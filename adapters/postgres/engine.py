"""Connections to PostgreSQL: one transaction at a time, each bound to one tenant.

Row-level security is forced on every tenant table, so a connection that forgot its tenant sees no row.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from psycopg.errors import QueryCanceled
from sqlalchemy import URL, Connection, create_engine, event, make_url, text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from adapters.keyring import Keyring
from adapters.postgres import patience

CONNECT_TIMEOUT_SECONDS = 3
APPLICATION_NAME = "kairos"


def driver_url(url: str) -> URL:
    """Return the URL with the driver named: SQLAlchemy and Dagster read a bare ``postgresql://`` differently."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername in _BARE else parsed


_BARE = ("postgresql", "postgres")


class Unavailable(RuntimeError):
    """PostgreSQL could not do it now: away, overloaded, out of space or out of time. Trying again may help."""


class Busy(Unavailable):
    """PostgreSQL answers, but what was asked took too long: somebody holds a lock, or it has too much to do."""


class NoKeyring(RuntimeError):
    """A personal field was to be sealed or opened on a database that was opened without key-encryption keys."""


def keyring_of(connection: Connection) -> Keyring:
    """Return the key-encryption keys a connection's database was opened with.

    Raises:
        NoKeyring: it was opened without.
    """
    keyring = connection.get_execution_options().get(_KEYRING)
    if not isinstance(keyring, Keyring):
        raise NoKeyring("this database was opened without key-encryption keys")
    return keyring


class Database:
    """A pool of connections under one role; every statement has a time limit."""

    def __init__(
        self, url: str, *, keyring: Keyring | None = None, statement_timeout_ms: int = 60_000, pool_size: int = 10
    ) -> None:
        """Connect nothing yet.

        Args:
            url: server, database and role.
            keyring: opens personal fields; without it a transaction may do everything else.
            statement_timeout_ms: longest one statement may take.
            pool_size: connections kept open; twice as many may be open at a time.
        """
        self.engine = create_engine(
            driver_url(url),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_pre_ping=True,
            pool_timeout=CONNECT_TIMEOUT_SECONDS,
            execution_options={_KEYRING: keyring},
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_SECONDS,
                "application_name": APPLICATION_NAME,
                "options": f"-c statement_timeout={statement_timeout_ms} -c timezone=UTC",
                # A server killed under us must not leave a reader waiting for the kernel's two hours.
                "tcp_user_timeout": 2 * statement_timeout_ms,
                "keepalives_idle": 5,
            },
        )
        # A server that is stopped cannot keep the limit of a statement; then we do.
        usual = 2 * statement_timeout_ms / 1000 + CONNECT_TIMEOUT_SECONDS
        event.listen(self.engine, "do_connect", lambda _, __, args, named: patience.dial(usual, *args, **named))

    @contextmanager
    def tenant(self, tenant: str) -> Iterator[Connection]:
        """Open one transaction that sees this tenant's rows only; it commits when the block ends well.

        Inside a ``joined`` block of the same tenant it is a part of that transaction instead, and is undone alone.
        """
        outer = _JOINED.get()
        if outer is not None and outer[:2] == (self, tenant):
            with _passing_as_unavailable(), outer[2].begin_nested():
                yield outer[2]
            return
        with self.begin() as connection:
            if (seconds := patience.seconds()) is None:
                connection.execute(_SET_TENANT, {"tenant": tenant})
            else:
                limit = f"{max(1, round(1000 * seconds))}ms"
                connection.execute(_SET_TENANT_AND_LIMIT, {"tenant": tenant, "limit": limit})
            yield connection

    @contextmanager
    def joined(self, tenant: str) -> Iterator[Connection]:
        """Open one transaction that every ``tenant`` block of this thread becomes a part of.

        Raises:
            Unavailable: as ``begin``; nothing of any part stands then.
        """
        with self.tenant(tenant) as connection:
            token = _JOINED.set((self, tenant, connection))
            try:
                yield connection
            finally:
                _JOINED.reset(token)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Open one transaction without a tenant: it sees no tenant's rows, unless its role may see all.

        Raises:
            Unavailable: there is no connection, or the statement or the commit failed for a reason that may pass.
                After a commit that failed so nobody knows whether it happened: repeat it, every write here may be.
        """
        with _passing_as_unavailable(), self.engine.begin() as connection:
            yield connection

    def ping(self) -> None:
        """Ask for an answer.

        Raises:
            Unavailable: there is none.
        """
        with self.begin() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


@contextmanager
def _passing_as_unavailable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolExhausted) as error:
        # The driver's text may hold parameters, which are somebody's data: only its class is passed on.
        cause = getattr(error, "orig", None) or error
        kind = Busy if isinstance(cause, QueryCanceled) else Unavailable
        raise kind(f"PostgreSQL cannot do it now ({type(cause).__name__})") from None


_JOINED: ContextVar[tuple[Database, str, Connection] | None] = ContextVar("joined", default=None)
_KEYRING = "kairos_keyring"
_SET_TENANT = text("SELECT set_config('kairos.tenant', :tenant, true)")
_SET_TENANT_AND_LIMIT = text(
    "SELECT set_config('kairos.tenant', :tenant, true), set_config('statement_timeout', :limit, true)"
)
