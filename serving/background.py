"""Work that a service repeats in a thread of its own, while a ``with`` block runs; PostgreSQL away is waited out.

A round that fails otherwise is logged and counted, and the next one begins as if it had not been: a service whose
thread is gone would look healthy and drain, pace or score nothing.
"""

import threading
from types import TracebackType
from typing import Self

import structlog
from prometheus_client import Counter

from adapters.postgres.engine import Unavailable
from serving.logs import places

_FAILED = Counter(
    "kairos_background_failed", "Rounds of a service's threads that an unexpected fault ended.", ("work",)
)


class Background:
    """Repeats ``work`` until the block ends; what is under way then is finished, unless it looks at ``has_ended``."""

    def __init__(self, name: str, *, every_seconds: float, on_unavailable: str) -> None:
        """Start nothing yet.

        Args:
            name: of the thread, and of its log.
            every_seconds: pause between two rounds.
            on_unavailable: the log event for a round that PostgreSQL did not answer.
        """
        self._name = name
        self._log = structlog.get_logger(f"kairos.{name}")
        self._every_seconds = every_seconds
        self._on_unavailable = on_unavailable
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def has_ended(self) -> bool:
        """True once the block ends: a round may stop early."""
        return self._ended.is_set()

    def work(self) -> None:
        """Do one round; a subclass says what.

        Raises:
            Unavailable: PostgreSQL is away; the next round tries again.
        """
        raise TypeError("a subclass says what its work is")

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the round under way."""
        self._ended.set()
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while not self.has_ended:
            try:
                self.work()
            except Unavailable:
                self._log.warning(self._on_unavailable)
            except Exception as error:  # noqa: BLE001 - the last resort of a thread that nobody waits for
                _FAILED.labels(self._name).inc()
                # A line with the place, as for a request: the text of the exception may quote somebody's data.
                self._log.error("background.failed", error=type(error).__name__, at=places(error.__traceback__))
            self._ended.wait(self._every_seconds)
