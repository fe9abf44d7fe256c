"""The relay: moves the outbox of every tenant to the stream, and fills the stream again whenever it lost something.

It deletes nothing: a row stays in PostgreSQL until a consumer has made its effect durable. Live events go before
rebuilds, every tenant gets its turn, and a full stream is waited for, never trimmed.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import structlog

from adapters.postgres.outbox import EVENTS, REBUILD, Outbox, OutboxRow
from adapters.redis.streams import EventStream, Message
from adapters.settings import load_settings
from feature_repo.engagement import catalog
from serving import stream_wiring
from serving.stream_wiring import StreamParts
from serving.worker import LAG, Numbers, Worker

BATCH = 1_000
"""Rows one tenant may publish before the next has its turn."""
REBUILD_SHARE = 0.25
"""Part of the stream that rebuilds may fill, so that a live event never queues behind many."""
IDLE_SECONDS = 0.1
AUDIT_SECONDS = 5.0
"""Time between two searches for rows the stream should carry and does not."""
LOOKBACK = timedelta(days=catalog.LOOKBACK_DAYS)

_log = structlog.get_logger(__name__)


@dataclass
class RelayCounts:
    """What a relay did since its start."""

    published: int = 0
    rebuilds: int = 0
    recovered: int = 0


class Relay:
    """Publishes what waits; doing it twice does no harm."""

    def __init__(self, *, outbox: Outbox, stream: EventStream, now: Callable[[str], datetime]) -> None:
        """Connect nothing yet.

        Args:
            outbox: where messages wait.
            stream: where they go.
            now: the clock of a tenant, by name.
        """
        self.counts = RelayCounts()
        self._outbox = outbox
        self._stream = stream
        self._now = now
        self._turn = 0
        self._rebuilt: dict[str, str] = {}
        self._audited_at = time.monotonic()

    def step(self) -> float:
        """Publish one batch of every tenant; returns how many seconds to wait before the next step."""
        started = time.monotonic()
        epoch = self._stream.epoch()
        tenants = self._in_turn(self._outbox.tenants())
        for tenant in tenants:
            self._rebuild_if_new(tenant, epoch)
        published = sum(self._publish(tenant, EVENTS, epoch, self._stream.room()) for tenant in tenants)
        if published < BATCH:
            published += sum(self._publish(tenant, REBUILD, epoch, self._room_for_rebuilds()) for tenant in tenants)
        if published:
            return 0.0
        self._audit(tenants, epoch)
        # With many tenants a round takes longer; it then rests as long, or it would keep a core busy with asking.
        return max(IDLE_SECONDS, time.monotonic() - started)

    def observe(self) -> Numbers:
        """Return what was done and what waits: rows per topic, and the age of the oldest event row."""
        backlogs = {
            topic: [self._outbox.backlog(tenant, topic) for tenant in self._outbox.tenants()]
            for topic in (EVENTS, REBUILD)
        }
        oldest = min((b.oldest_at for b in backlogs[EVENTS] if b.oldest_at is not None), default=None)
        lag = (datetime.now(UTC) - oldest).total_seconds() if oldest is not None else 0.0
        waiting = {f"waiting_{topic}": float(sum(b.waiting for b in found)) for topic, found in backlogs.items()}
        return Numbers(asdict(self.counts), {LAG: lag, **waiting})

    def _in_turn(self, tenants: list[str]) -> list[str]:
        self._turn += 1
        first = self._turn % len(tenants) if tenants else 0
        return tenants[first:] + tenants[:first]

    def _rebuild_if_new(self, tenant: str, epoch: str) -> None:
        """Queue every recent recipient once per epoch: what emptied the stream may have emptied the features."""
        if self._rebuilt.get(tenant) == epoch:
            return
        if self._stream.rebuilt_for(tenant) == epoch:
            self._rebuilt[tenant] = epoch
            return
        queued = self._outbox.refill(tenant, since=self._now(tenant) - LOOKBACK)
        self._stream.mark_rebuilt(tenant, epoch)
        self._rebuilt[tenant] = epoch
        self.counts.rebuilds += queued
        _log.info("relay.rebuild_queued", tenant=tenant, recipients=queued, epoch=epoch)

    def _publish(self, tenant: str, topic: str, epoch: str, room: int) -> int:
        if room <= 0:
            return 0

        def send(rows: list[OutboxRow]) -> None:
            self._stream.append([_message(tenant, row) for row in rows])

        count = self._outbox.publish(tenant, topic, epoch=epoch, limit=min(BATCH, room), send=send)
        self.counts.published += count
        return count

    def _room_for_rebuilds(self) -> int:
        return int(self._stream.max_length * REBUILD_SHARE) - self._stream.length()

    def _audit(self, tenants: list[str], epoch: str) -> None:
        """Publish again what an empty stream should carry: somebody removed entries nobody had read."""
        if time.monotonic() - self._audited_at < AUDIT_SECONDS or self._stream.length() > 0:
            return
        self._audited_at = time.monotonic()
        for tenant in tenants:
            # A consumer deletes the row before the entry, so a row without an entry was never handled.
            if lost := self._outbox.forget(tenant, epoch=epoch):
                self.counts.recovered += lost
                _log.warning("relay.entries_had_vanished", tenant=tenant, count=lost)


def _message(tenant: str, row: OutboxRow) -> Message:
    return Message(tenant=tenant, outbox_id=row.outbox_id, topic=row.topic, key=row.key, occurred_at=row.occurred_at)


def relay_of(parts: StreamParts) -> Relay:
    """Return the relay of this installation."""
    return Relay(outbox=parts.outbox, stream=parts.stream, now=lambda name: parts.clock.now(parts.tenants.get(name)))


def main() -> None:
    """Run the relay until SIGTERM."""

    def work(parts: StreamParts) -> None:
        relay = relay_of(parts)
        Worker("relay", relay.step, observe=relay.observe, data_dir=parts.settings.data_dir).run_until_signalled()

    stream_wiring.run(load_settings(), work)


if __name__ == "__main__":
    main()
