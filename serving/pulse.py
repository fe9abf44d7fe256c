"""Watches what decisions ask of others: who gives no sign of life is not waited for, and who gives one again is asked.

It costs a thread and a question twenty times a second, and spares every decision the wait by which it would find out
itself. Without it the breakers work all the same, by the calls that fail.
"""

import threading
from collections.abc import Callable

import structlog

from serving.breakers import Breaker

EVERY_SECONDS = 0.05
LOST_SECONDS = 0.2
"""Pause between two questions while nobody answers."""
_STOP_SECONDS = 5.0
_log = structlog.get_logger("kairos.pulse")


class Pulse:
    """Asks one other side from a thread of its own, and tells its breaker."""

    def __init__(
        self, breaker: Breaker, ask: Callable[[], object], close: Callable[[], None], *, every_seconds: float
    ) -> None:
        """Start nothing yet.

        Args:
            breaker: of the other side.
            ask: waits for a sign of life, and raises where none came in time; it decides how long that is.
            close: lets go of what ``ask`` holds.
            every_seconds: pause between two questions.
        """
        self._breaker = breaker
        self._ask = ask
        self._close = close
        self._every_seconds = every_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"pulse-{breaker.name}", daemon=True)

    def start(self) -> None:
        """Begin to ask; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End; the breaker is left as whoever calls would find it without a watch."""
        self._ended.set()
        self._thread.join(_STOP_SECONDS)
        self._breaker.found()

    def look(self) -> bool:
        """Ask once, tell the breaker, and return whether an answer came."""
        try:
            self._ask()
        except Exception as error:  # noqa: BLE001 - whatever a client raises, no sign of life came
            if not self._breaker.is_lost:
                _log.warning("pulse.lost", name=self._breaker.name, error=type(error).__name__)
            self._breaker.lost()
            return False
        self._breaker.found()
        return True

    def _run(self) -> None:
        while not self._ended.is_set():
            self._ended.wait(self._every_seconds if self.look() else LOST_SECONDS)
        self._close()
