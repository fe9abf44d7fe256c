"""The announcer: moves what changed from every tenant's outbox into its list of changes, and forgets old ones.

It is the only one who numbers changes; several at once wait for each other and share the work.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from adapters.clock import real_now
from adapters.postgres.changes import ChangeFeed
from adapters.settings import load_settings
from serving import stream_wiring
from serving.stream_wiring import StreamParts
from serving.worker import LAG, Numbers, Worker

BATCH = 1_000
"""Changes one tenant may list before the next has its turn."""
IDLE_SECONDS = 0.1
PRUNE_SECONDS = 60.0


@dataclass
class AnnouncerCounts:
    """What an announcer did since its start."""

    published: int = 0
    forgotten: int = 0


class Announcer:
    """Lists what waits; stopping it at any moment loses and repeats nothing."""

    def __init__(
        self,
        *,
        feed: ChangeFeed,
        tenants: Callable[[], list[str]],
        retention: timedelta,
        now: Callable[[], datetime] = real_now,
    ) -> None:
        """Connect nothing yet.

        Args:
            feed: where changes are listed.
            tenants: names every tenant.
            retention: how long they are kept.
            now: real time.
        """
        self.counts = AnnouncerCounts()
        self._feed = feed
        self._tenants = tenants
        self._retention = retention
        self._now = now
        self._prune_at = 0.0

    def step(self) -> float:
        """List one batch of every tenant; returns how many seconds to wait before the next step."""
        started = time.monotonic()
        tenants = self._tenants()
        published = sum(self._feed.publish(tenant, limit=BATCH) for tenant in tenants)
        self.counts.published += published
        if started >= self._prune_at:
            self._prune_at = started + PRUNE_SECONDS
            before = self._now() - self._retention
            self.counts.forgotten += sum(self._feed.prune(tenant, before=before) for tenant in tenants)
        # With many tenants a round takes longer; it then rests as long, or it would keep a core busy with asking.
        return 0.0 if published else max(IDLE_SECONDS, time.monotonic() - started)

    def observe(self) -> Numbers:
        """Return what was done and what waits, and the age of the oldest change that is not listed yet."""
        found = [self._feed.waiting(tenant) for tenant in self._tenants()]
        oldest = min((since for _, since in found if since is not None), default=None)
        lag = (datetime.now(UTC) - oldest).total_seconds() if oldest is not None else 0.0
        return Numbers(asdict(self.counts), {LAG: lag, "waiting": float(sum(count for count, _ in found))})


def announcer_of(parts: StreamParts) -> Announcer:
    """Return the announcer of this installation."""
    retention = timedelta(hours=parts.settings.change_retention_hours)
    return Announcer(feed=ChangeFeed(parts.database), tenants=parts.outbox.tenants, retention=retention)


def main() -> None:
    """Run the announcer until SIGTERM."""

    def work(parts: StreamParts) -> None:
        announcer = announcer_of(parts)
        worker = Worker("announcer", announcer.step, observe=announcer.observe, data_dir=parts.settings.data_dir)
        worker.run_until_signalled()

    stream_wiring.run(load_settings(), work)


if __name__ == "__main__":
    main()
