"""Being told to stop: the server waits for open answers before it stops the application, so streams must know first.

A signal handler of ours runs before the server's own and leaves everything else to it.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def told_to_stop(act: Callable[[], object]) -> Iterator[None]:
    """Act on the signals that stop a server, before the server does; nothing outside the main thread.

    Args:
        act: called in the signal handler; it must not wait for a lock.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        signal.signal(number, _chained(act, handler))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _chained(act: Callable[[], object], handler: Any) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        act()
        if callable(handler):
            handler(number, frame)

    return handle
