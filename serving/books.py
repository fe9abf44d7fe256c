"""The books: what the event log says it received and what became of it, shown as metrics every few seconds.

They include what came by file, which no counter of this process saw. A store that is away leaves the last figures.
"""

import threading
from types import TracebackType
from typing import Self

import structlog

from adapters.postgres.engine import Unavailable
from adapters.postgres.events import EventLog
from adapters.postgres.tenants import Tenants
from serving import metrics

EVERY_SECONDS = 15.0
log = structlog.get_logger("kairos.books")


class Books:
    """Reads the books in a thread of its own, while the ``with`` block runs."""

    def __init__(self, tenants: Tenants, event_log: EventLog, *, every_seconds: float = EVERY_SECONDS) -> None:
        self._tenants = tenants
        self._event_log = event_log
        self._every_seconds = every_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="books", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def read(self) -> None:
        """Show the figures of every tenant once.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        for tenant in self._tenants.all():
            if self._ended.is_set():
                return
            totals = self._event_log.conservation(tenant.tenant)
            metrics.show_books(tenant.tenant, totals)
            if totals.imbalance:
                log.error("ingest.imbalance", tenant=tenant.tenant, missing=totals.imbalance)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.read()
            except Unavailable:
                log.warning("books.unread")
            self._ended.wait(self._every_seconds)
