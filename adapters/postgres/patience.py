"""How long we wait for PostgreSQL: a limit on our side of the connection, and a shorter one while a decision waits.

The server's ``statement_timeout`` is kept by the server; one that is stopped keeps nothing, and its kernel goes on
acknowledging what we send. A connection whose answer does not come in time is closed, for nobody knows what is still
on its way.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import psycopg
from psycopg import errors

RV = TypeVar("RV")
Patience = Callable[[], float]
"""Returns the seconds that may be waited for an answer, asked anew for each."""
SLACK_SECONDS = 0.05
"""What our side waits longer than the server is told to try, so that its own refusal is heard first."""
DIALS = 4
"""Connections that are opened at a time for those in a hurry; a server that hangs cannot hold more threads."""


@contextmanager
def no_longer_than(patience: Patience) -> Iterator[None]:
    """Wait in this block no longer than so many seconds for each answer of PostgreSQL, or for a connection."""
    token = _PATIENCE.set(patience)
    try:
        yield
    finally:
        _PATIENCE.reset(token)


def seconds() -> float | None:
    """Return how long an answer may take here; None when it is as long as usual."""
    patience = _PATIENCE.get()
    return patience() if patience is not None else None


class LimitedConnection(psycopg.Connection[Any]):
    """A connection that is closed when an answer does not come in time."""

    usual_seconds: float = 120.0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer, no longer than may be waited here.

        Raises:
            OperationalError: it did not come; the connection is closed.
        """
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        hurried = seconds()
        limit = hurried + SLACK_SECONDS if hurried is not None else self.usual_seconds
        try:
            return super().wait(gen, min(interval, limit), limit)
        except _TOO_LATE:
            self.pgconn.finish()
            raise errors.OperationalError("no answer in time; the connection is closed") from None


_TOO_LATE = errors._WaitTimeout  # noqa: SLF001 - what the public ``wait`` is documented to raise
_PATIENCE: ContextVar[Patience | None] = ContextVar("patience", default=None)
_DIALLING = ThreadPoolExecutor(DIALS, thread_name_prefix="postgres-dial")


def dial(usual_seconds: float, *given: Any, **named: Any) -> LimitedConnection:
    """Open a connection, no longer than may be waited here; arguments as ``psycopg.connect``.

    Raises:
        OperationalError: there was none in time.
    """

    def dialled() -> LimitedConnection:
        connection = LimitedConnection.connect(*given, **named)
        connection.usual_seconds = usual_seconds
        return connection

    if (hurried := seconds()) is None:
        return dialled()
    # libpq counts in whole seconds, at least two of them.
    asked = _DIALLING.submit(dialled)
    try:
        return asked.result(hurried)
    except TooSlow:
        if not asked.cancel():
            asked.add_done_callback(_hang_up)
        raise errors.OperationalError("no connection in time") from None


def _hang_up(late: Future[LimitedConnection]) -> None:
    if late.exception() is None:
        late.result().close()
