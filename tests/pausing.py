"""Servers that hang: a process and its children stopped with SIGSTOP, and running again at the end whatever happens."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path


def _tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(each for child in children for each in _tree(int(child)))]


def _tell(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@contextlib.contextmanager
def paused(pid: int) -> Iterator[None]:
    """Stop a process and all below it inside the block."""
    stopped = _tree(pid)
    _tell(stopped, signal.SIGSTOP)
    try:
        yield
    finally:
        _tell(stopped, signal.SIGCONT)
