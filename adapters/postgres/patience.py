"""How long we wait for PostgreSQL: a limit on our side of the connection, and a shorter one while a decision waits.

The server's ``statement_timeout`` is kept by the server; one that is stopped keeps nothing, and its kernel goes on
acknowledging what we send. A connection whose answer does not come in time is closed, for nobody knows what is still
on its way. Who learns meanwhile that the server is not there waits no longer at all.
"""

import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
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
GLANCE_SECONDS = 0.02
"""How often who waits looks whether there is still hope."""
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


@contextmanager
def giving_up_when(is_hopeless: Callable[[], bool]) -> Iterator[None]:
    """Wait in this block no more once ``is_hopeless``, which is asked a few times while an answer is waited for."""
    token = _HOPELESS.set(is_hopeless)
    try:
        yield
    finally:
        _HOPELESS.reset(token)


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
        if (is_hopeless := _HOPELESS.get()) is not None:
            gen, interval = _hoping(gen, is_hopeless), GLANCE_SECONDS
        try:
            return super().wait(gen, min(interval, limit), limit)
        except _TOO_LATE:
            self.pgconn.finish()
            raise errors.OperationalError("no answer in time; the connection is closed") from None


_TOO_LATE = errors._WaitTimeout  # noqa: SLF001 - what the public ``wait`` is documented to raise
_PATIENCE: ContextVar[Patience | None] = ContextVar("patience", default=None)
_HOPELESS: ContextVar[Callable[[], bool] | None] = ContextVar("hopeless", default=None)
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
        return _got(asked, hurried)
    except TooSlow:
        if not asked.cancel():
            asked.add_done_callback(_hang_up)
        raise errors.OperationalError("no connection in time") from None


def _got(asked: Future[LimitedConnection], most: float) -> LimitedConnection:
    """Return the connection that was asked for, within so many seconds and while there is hope."""
    if (is_hopeless := _HOPELESS.get()) is None:
        return asked.result(most)
    ends = time.monotonic() + most
    while not is_hopeless() and (left := ends - time.monotonic()) > 0:
        if wait([asked], min(GLANCE_SECONDS, left)).done:
            return asked.result()
    raise TooSlow


def _hoping(gen: Any, is_hopeless: Callable[[], bool]) -> Generator[Any, Any, Any]:
    """Pass on what ``gen`` waits for, and end with the driver's own time-out where nothing came and nothing will."""
    try:
        wanted = next(gen)
        while True:
            came = yield wanted
            if not came and is_hopeless():
                raise _TOO_LATE
            wanted = gen.send(came)
    except StopIteration as ended:
        return ended.value


def _hang_up(late: Future[LimitedConnection]) -> None:
    if late.exception() is None:
        late.result().close()
