"""The books: what the event log says it received and what became of it, shown as metrics every few seconds.

They include what came by file, which no counter of this process saw. A store that is away leaves the last figures.
"""

import structlog

from adapters.postgres.events import EventLog
from serving import metrics
from serving.background import Background

EVERY_SECONDS = 15.0
log = structlog.get_logger("kairos.books")


class Books(Background):
    """Reads the books in a thread of its own, while the ``with`` block runs."""

    def __init__(self, event_log: EventLog, *, every_seconds: float = EVERY_SECONDS) -> None:
        super().__init__("books", every_seconds=every_seconds, on_unavailable="books.unread")
        self._event_log = event_log

    def work(self) -> None:
        """Show the figures once.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        self.read()

    def read(self) -> None:
        """Show the figures of every tenant once.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        for tenant, totals in self._event_log.books().items():
            metrics.show_books(tenant, totals)
            if totals.imbalance:
                log.error("ingest.imbalance", tenant=tenant, missing=totals.imbalance)
