"""The eraser: carries out every open erasure, takes out what comes back of those who were erased, and writes exports.

It needs PostgreSQL and Valkey; a request whose place is away or busy waits, and the others go on.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from adapters.clock import Clock
from adapters.erasure_ledger import ErasureLedger
from adapters.lake import Lake
from adapters.personal_data.eraser import Eraser, places
from adapters.personal_data.exporter import Exporter, sources
from adapters.personal_data.online_place import OnlineFeatures, OnlineUnavailable
from adapters.personal_data.returning import Sweep, ask_again
from adapters.postgres.engine import Database, Unavailable
from adapters.postgres.erasures import Erasures
from adapters.postgres.exports import Exports
from adapters.redis.client import BACKGROUND_TIMEOUT_MS, connect
from adapters.secrets import SecretBox
from adapters.settings import load_settings
from domain.tenants import Tenant
from serving import stream_wiring
from serving.export_worker import ExportWorker
from serving.stream_wiring import StreamParts
from serving.worker import LAG, Numbers, Worker

IDLE_SECONDS = 1.0
SWEEP_EVERY = timedelta(minutes=1)
LOOKBACK = timedelta(minutes=10)
"""How far before the last look late events are looked for: a transaction may commit long after its events came."""
RETRY_AFTER = timedelta(minutes=5)
"""Rest of a request that met a fault, and is not the first to be tried again."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_log = structlog.get_logger(__name__)


@dataclass
class EraserCounts:
    """What an eraser did since its start."""

    finished: int = 0
    faults: int = 0
    came_back: int = 0
    swept_rows: int = 0


class AllTenants(Protocol):
    """Names every tenant."""

    def __call__(self) -> list[Tenant]:
        """Return them."""


class ErasureWorker:
    """Does what is open, tenant by tenant; stopping it at any moment loses nothing."""

    def __init__(
        self,
        *,
        database: Database,
        eraser: Eraser,
        sweep: Sweep,
        tenants: AllTenants,
        clock: Callable[[], Clock] = Clock,
    ) -> None:
        """Connect nothing yet.

        Args:
            database: where requests are.
            eraser: carries one out.
            sweep: takes out of the lake what comes back.
            tenants: names every tenant.
            clock: tells the time.
        """
        self.counts = EraserCounts()
        self._database = database
        self._eraser = eraser
        self._sweep = sweep
        self._tenants = tenants
        self._clock = clock()
        self._rests_until: dict[str, datetime] = {}
        self._swept_at: datetime | None = None

    def step(self) -> float:
        """Go on with every open request; returns how many seconds to wait before the next step.

        Raises:
            Unavailable, OnlineUnavailable: a store is away; what could be done without it is done.
        """
        tenants = self._tenants()
        away: Exception | None = None
        for tenant in tenants:
            for erasure_id in Erasures(self._database).open(tenant):
                try:
                    self._carry_out(tenant, erasure_id)
                except OnlineUnavailable as error:
                    away = error
        if away is not None:
            raise away
        self._sweep_now_and_then(tenants)
        return IDLE_SECONDS

    def observe(self) -> Numbers:
        """Return what was done, how many requests are open, and the age of the oldest."""
        found = [Erasures(self._database).waiting(tenant) for tenant in self._tenants()]
        oldest = min((since for _, since in found if since is not None), default=None)
        lag = (self._clock.real() - oldest).total_seconds() if oldest is not None else 0.0
        return Numbers(asdict(self.counts), {LAG: lag, "open": float(sum(count for count, _ in found))})

    def _carry_out(self, tenant: Tenant, erasure_id: str) -> None:
        if self._rests_until.get(erasure_id, _LONG_AGO) > self._clock.real():
            return
        whose = Erasures(self._database).recipient(tenant, erasure_id)
        try:
            erasure = self._eraser.run(tenant, erasure_id)
        except (Unavailable, OnlineUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - one damaged file must not hold up everybody else's erasure
            # It stays open and is tried again. The text of an error may hold somebody's data; its kind does not.
            _log.error("erasure.fault", tenant=tenant.tenant, erasure=erasure_id, kind=type(error).__name__)
            self.counts.faults += 1
            self._rests_until[erasure_id] = self._clock.real() + RETRY_AFTER
            return
        if whose is not None:
            self._sweep.watch(tenant.tenant, whose, now=self._clock.real())
        self.counts.finished += int(erasure.finished_at is not None)

    def _sweep_now_and_then(self, tenants: list[Tenant]) -> None:
        now = self._clock.real()
        if self._swept_at is not None and now - self._swept_at < SWEEP_EVERY:
            return
        since = self._swept_at - LOOKBACK if self._swept_at is not None else _LONG_AGO
        for tenant in tenants:
            back = ask_again(self._database, tenant, since=since, now=self._clock.now(tenant))
            self.counts.came_back += len(back)
        swept = self._sweep.run({tenant.tenant: tenant for tenant in tenants}, now=now)
        if swept:
            _log.info("erasure.swept", rows=swept)
        self.counts.swept_rows += swept
        self._swept_at = now


def main() -> None:
    """Run the eraser until SIGTERM."""

    def work(parts: StreamParts) -> None:
        settings = parts.settings
        lake = Lake(settings.lake_dir)
        box = SecretBox.of(settings)
        with connect(parts.endpoints.redis_url, timeout_ms=BACKGROUND_TIMEOUT_MS) as redis:
            erasing = ErasureWorker(
                database=parts.database,
                eraser=Eraser(parts.database, places(lake, redis, settings.data_dir, box), ErasureLedger.of(settings)),
                sweep=Sweep(parts.database, lake, OnlineFeatures(redis)),
                tenants=lambda: list(parts.tenants.all()),
            )
            store = Exports(parts.database, box)
            exporter = Exporter(store, sources(lake, redis, settings.data_dir, box), settings.data_dir)
            exporting = ExportWorker(store, exporter, lambda: list(parts.tenants.all()))

            def observe() -> Numbers:
                """Return the numbers of both."""
                found = erasing.observe()
                return Numbers({**found.counts, **asdict(exporting.counts)}, found.gauges)

            def step() -> float:
                """Erase first: nobody's data is written out while they wait to be forgotten."""
                started = time.monotonic()
                wait = min(erasing.step(), exporting.step())
                # With many tenants a round takes longer; it then rests as long, or it would keep a core busy.
                return max(wait, time.monotonic() - started) if wait else 0.0

            Worker("eraser", step, observe=observe, data_dir=settings.data_dir).run_until_signalled()

    stream_wiring.run(load_settings(), work)


if __name__ == "__main__":
    main()
