"""Asks a long-running command to stop: Ctrl-C, SIGTERM or a closed terminal.

The first request is noticed between steps, so that everything is shut down in order; a second one, from someone who
cannot wait, interrupts at once.
"""

import signal
from types import FrameType, TracebackType
from typing import Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequest:
    """Listens inside its ``with`` block, in the main thread; ``was_asked`` from the first request on."""

    def __init__(self) -> None:
        self._asked_by: signal.Signals | None = None
        self._before: dict[signal.Signals, object] = {}

    @property
    def was_asked(self) -> bool:
        """Whether somebody wants us to stop."""
        return self._asked_by is not None

    def _ask(self, number: int, _: FrameType | None) -> None:
        if self._asked_by is not None:
            raise KeyboardInterrupt
        self._asked_by = signal.Signals(number)

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._ask) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
