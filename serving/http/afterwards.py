"""What is done once the effects of a request are committed: at once, or after the transaction it became a part of."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Deed = Callable[[], None]


def afterwards(deed: Deed) -> None:
    """Do something after the commit: now, for its caller committed, or when ``held`` ends well around its caller."""
    if (waiting := _WAITING.get()) is None:
        deed()
    else:
        waiting.append(deed)


@contextmanager
def held() -> Iterator[list[Deed]]:
    """Yield the list that ``afterwards`` adds to inside this block; who opened it does what is in it, or does not."""
    waiting: list[Deed] = []
    token = _WAITING.set(waiting)
    try:
        yield waiting
    finally:
        _WAITING.reset(token)


def do_all(deeds: Iterable[Deed]) -> None:
    """Do what waited for the commit, which has been."""
    for deed in deeds:
        deed()


_WAITING: ContextVar[list[Deed] | None] = ContextVar("afterwards", default=None)
