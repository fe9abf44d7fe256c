"""Work that a service repeats in a thread of its own, while a ``with`` block runs; PostgreSQL away is waited out."""

import threading
from types import TracebackType
from typing import Self

import structlog

from adapters.postgres.engine import Unavailable


class Background:
    """Repeats ``work`` until the block ends; what is under way then is finished, unless it looks at ``has_ended``."""

    def __init__(self, name: str, *, every_seconds: float, on_unavailable: str) -> None:
        """Start nothing yet.

        Args:
            name: of the thread, and of its log.
            every_seconds: pause between two rounds.
            on_unavailable: the log event for a round that PostgreSQL did not answer.
        """
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
            self._ended.wait(self._every_seconds)
