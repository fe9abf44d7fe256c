"""The books: what the event log says it received and what became of it, shown as metrics every few seconds.

They include what came by file, which no counter of this process saw. A store that is away leaves the last figures.
"""

import structlog

from adapters.postgres.events import EventLog
from adapters.postgres.tenants import Tenants
from serving import metrics
from serving.background import Background

EVERY_SECONDS = 15.0
log = structlog.get_logger("kairos.books")


class Books(Background):
    """Reads the books in a thread of its own, while the ``with`` block runs."""

    def __init__(self, tenants: Tenants, event_log: EventLog, *, every_seconds: float = EVERY_SECONDS) -> None:
        super().__init__("books", every_seconds=every_seconds, on_unavailable="books.unread")
        self._tenants = tenants
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
        for tenant in self._tenants.all():
            if self.has_ended:
                return
            totals = self._event_log.conservation(tenant.tenant)
            metrics.show_books(tenant.tenant, totals)
            if totals.imbalance:
                log.error("ingest.imbalance", tenant=tenant.tenant, missing=totals.imbalance)
