"""Writes exports that were asked for, a few pages at a time, and deletes files that nobody may fetch any more."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from adapters.clock import real_now
from adapters.personal_data.exporter import Exporter
from adapters.personal_data.online_place import OnlineUnavailable
from adapters.postgres.engine import Unavailable
from adapters.postgres.exports import Exports
from domain.exports import ExportState
from domain.tenants import Tenant

PAGES_AT_A_TIME = 200
"""Pages of one export before erasures and other exports have their turn."""
IDLE_SECONDS = 1.0
TIDY_EVERY = timedelta(minutes=1)
_log = structlog.get_logger(__name__)


@dataclass
class ExportCounts:
    """What was done since the start."""

    exported: int = 0
    export_faults: int = 0
    expired: int = 0


class ExportWorker:
    """Does what waits, tenant by tenant; stopping it at any moment loses a page at most."""

    def __init__(
        self,
        store: Exports,
        exporter: Exporter,
        tenants: Callable[[], list[Tenant]],
        *,
        now: Callable[[], datetime] = real_now,
    ) -> None:
        """Connect nothing yet.

        Args:
            store: where requests are.
            exporter: writes a page.
            tenants: names every tenant.
            now: real time.
        """
        self.counts = ExportCounts()
        self._store = store
        self._exporter = exporter
        self._tenants = tenants
        self._now = now
        self._tidied_at: datetime | None = None

    def step(self) -> float:
        """Go on with every open export; returns how many seconds to wait before the next step.

        Raises:
            Unavailable, OnlineUnavailable: a store is away.
        """
        tenants = self._tenants()
        is_busy = False
        for tenant in tenants:
            for export_id in self._store.open(tenant):
                is_busy = self._write(tenant, export_id) or is_busy
        self._tidy_now_and_then(tenants)
        return 0.0 if is_busy else IDLE_SECONDS

    def _write(self, tenant: Tenant, export_id: str) -> bool:
        try:
            for _ in range(PAGES_AT_A_TIME):
                if not self._exporter.step(tenant, export_id):
                    self.counts.exported += int(self._store.get(tenant, export_id).state is ExportState.READY)
                    return False
        except (Unavailable, OnlineUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - one damaged file must not hold up everybody else's export
            # The text of an error may hold somebody's data; its kind does not.
            _log.error("export.fault", tenant=tenant.tenant, export=export_id, kind=type(error).__name__)
            self.counts.export_faults += 1
            self._store.fail(tenant, export_id)
            return False
        return True

    def _tidy_now_and_then(self, tenants: list[Tenant]) -> None:
        now = self._now()
        if self._tidied_at is not None and now - self._tidied_at < TIDY_EVERY:
            return
        self.counts.expired += sum(self._store.expire(tenant, now=now) for tenant in tenants)
        self._exporter.tidy(tenants)
        self._tidied_at = now
