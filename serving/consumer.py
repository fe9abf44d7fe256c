"""The consumer: turns messages into online features and acknowledges each last, when its effect is durable.

Values are absolute and recomputed from the event log, so a message may come twice, late or in any order. One that
fails alone five times becomes a dead letter; the others flow meanwhile.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

import structlog

from adapters.clock import Clock
from adapters.feature_store import FeatureStore
from adapters.postgres.outbox import EVENTS, Outbox, OutboxRow
from adapters.postgres.tenants import Tenants
from adapters.redis.streams import EventStream, Message
from adapters.settings import load_settings
from serving import stream_wiring
from serving.live_features import LOOKBACK, LiveFeatures
from serving.logs import places
from serving.stream_wiring import StreamParts
from serving.worker import AWAY, LAG, Numbers, Worker

ATTEMPTS = 5
"""How often a message is tried before it becomes a dead letter."""
RECIPIENTS = 1_000
"""Recipients computed at once."""
READ = 10_000
"""Messages taken at once: the more wait, the more of them are about the same recipients."""
CLAIM = 500
BLOCK_MS = 500
CLAIM_IDLE_MS = 5_000
"""A message given to somebody and not acknowledged for this long is taken over."""
CLAIM_EVERY_SECONDS = 1.0
LINGER_SECONDS = 0.5
"""Rest after a batch that took all there was: a computation costs as much for one recipient as for a hundred."""

Fault = Callable[[str], None]
"""Called at ``received``, ``written``, ``settled`` and ``acknowledged``; tests end the process there."""

_log = structlog.get_logger(__name__)


@dataclass
class ConsumerCounts:
    """What a consumer did since its start.

    ``lag_seconds`` is the time from commit to online of the oldest event of the last batch.
    """

    delivered: int = 0
    repeated: int = 0
    too_old: int = 0
    retried: int = 0
    vanished: int = 0
    dead: int = 0
    lag_seconds: float | None = None


@dataclass
class _Held:
    """Messages in hand. Suspects were tried before and failed or took a process with them: each is tried alone."""

    plain: list[Message] = field(default_factory=list)
    suspects: list[Message] = field(default_factory=list)
    exhausted: list[Message] = field(default_factory=list)
    counted: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.plain or self.suspects or self.exhausted)


class Consumer:
    """Keeps online features as the event log says, between two nights."""

    def __init__(
        self,
        *,
        name: str,
        stream: EventStream,
        outbox: Outbox,
        features: LiveFeatures,
        tenants: Tenants,
        clock: Clock,
        fault: Fault = lambda _: None,
        claim_idle_ms: int = CLAIM_IDLE_MS,
    ) -> None:
        """Connect nothing yet.

        Args:
            name: who reads; consumers with one name share what was given to it.
            stream: where messages come from.
            outbox: where they are settled.
            features: makes the effect.
            tenants: whose clock is asked.
            clock: tells each tenant's time.
            fault: for tests.
            claim_idle_ms: age at which others' unfinished messages are taken over.
        """
        self.counts = ConsumerCounts()
        self._name = name
        self._stream = stream
        self._outbox = outbox
        self._features = features
        self._tenants = tenants
        self._clock = clock
        self._fault = fault
        self._claim_idle_ms = claim_idle_ms
        self._held = _Held()
        self._claimed_at = -CLAIM_EVERY_SECONDS

    def step(self) -> float:
        """Receive messages and finish them; returns how many seconds to wait before the next step.

        When a store is away the messages stay in hand, and the next step tries them again.
        """
        if not self._held:
            self._held = self._receive()
            self._fault("received")
        held = self._held
        is_full = len(held.plain) >= READ
        for messages in (held.exhausted, held.plain):
            for tenant, group in _by(messages, lambda message: message.tenant):
                self._settle(tenant, group, give_up=messages is held.exhausted)
            messages.clear()
        if held.suspects:
            while held.suspects:
                self._try_alone(held)
            # What is new has its turn before the next look at what others left: that can take long.
            self._claimed_at = time.monotonic()
        return 0.0 if is_full else LINGER_SECONDS

    def observe(self) -> Numbers:
        """Return what was done, and the lag of the last batch."""
        counts = asdict(self.counts)
        lag = counts.pop(LAG)
        return Numbers(counts, {} if lag is None else {LAG: lag})

    def _receive(self) -> _Held:
        if time.monotonic() - self._claimed_at >= CLAIM_EVERY_SECONDS:
            self._claimed_at = time.monotonic()
            claimed = self._stream.claim(self._name, idle_ms=self._claim_idle_ms, count=CLAIM)
            if claimed.vanished:
                self.counts.vanished += claimed.vanished
                _log.warning("consumer.entries_had_vanished", count=claimed.vanished)
            if claimed.messages:
                return self._sorted_out(claimed.messages)
        return _Held(plain=self._stream.read(self._name, count=READ, block_ms=BLOCK_MS))

    def _sorted_out(self, claimed: Sequence[Message]) -> _Held:
        """Separate what somebody left unfinished by how often it was tried."""
        self.counts.retried += len(claimed)
        held = _Held()
        for message, tried in zip(claimed, self._stream.attempts(claimed), strict=True):
            kind = held.plain if tried == 0 else held.suspects if tried < ATTEMPTS else held.exhausted
            kind.append(message)
        # Counted before it is tried: if one of them ends this process, the next tries each alone.
        self._stream.count_attempt(held.plain)
        held.counted.update(message.entry_id for message in held.plain)
        return held

    def _try_alone(self, held: _Held) -> None:
        """Try everything of one recipient: their events fail together, and thousands of them are one attempt."""
        first = held.suspects[0]
        mine = [each for each in held.suspects if (each.tenant, each.key) == (first.tenant, first.key)]
        uncounted = [message for message in mine if message.entry_id not in held.counted]
        self._stream.count_attempt(uncounted)
        held.counted.update(message.entry_id for message in uncounted)
        self._settle(first.tenant, mine)
        held.suspects = [each for each in held.suspects if (each.tenant, each.key) != (first.tenant, first.key)]

    def _settle(self, tenant: str, messages: Sequence[Message], *, give_up: bool = False) -> None:
        """Make the effect of one tenant's messages durable, then acknowledge them."""
        rows = self._outbox.present(tenant, [message.outbox_id for message in messages])
        waiting = [message for message in messages if message.outbox_id in rows]
        repeated = [message for message in messages if message.outbox_id not in rows]
        self.counts.repeated += len(repeated)
        self._stream.acknowledge(repeated)
        if not waiting:
            return
        if give_up:
            self._bury(tenant, waiting, rows, "the process did not survive it")
            return
        now = self._clock.now(self._tenants.get(tenant))
        too_old = [message for message in waiting if message.occurred_at < now - LOOKBACK]
        self.counts.too_old += len(too_old)
        self._finish(tenant, too_old)
        recent = [message for message in waiting if message.occurred_at >= now - LOOKBACK]
        groups = list(_by(recent, lambda message: message.key))
        for start in range(0, len(groups), RECIPIENTS):
            self._apply(tenant, groups[start : start + RECIPIENTS], rows, now)

    def _apply(
        self, tenant: str, groups: list[tuple[str, list[Message]]], rows: dict[int, OutboxRow], now: datetime
    ) -> None:
        """Refresh some recipients; when that fails, halve until the one who makes it fail is alone."""
        messages = [message for _, group in groups for message in group]
        try:
            self._features.refresh(tenant, [recipient for recipient, _ in groups], now)
        except AWAY:
            raise
        except Exception as error:  # noqa: BLE001 - whatever one recipient's events raise, the others flow
            if len(groups) == 1:
                self._fail(tenant, messages, rows, error)
                return
            half = len(groups) // 2
            self._apply(tenant, groups[:half], rows, now)
            self._apply(tenant, groups[half:], rows, now)
            return
        self._fault("written")
        self._note_lag(rows[message.outbox_id] for message in messages)
        self.counts.delivered += len(messages)
        self._finish(tenant, messages)

    def _finish(self, tenant: str, messages: Sequence[Message]) -> None:
        if messages:
            self._outbox.settle(tenant, [message.outbox_id for message in messages])
            self._fault("settled")
            self._stream.acknowledge(messages)
            self._fault("acknowledged")

    def _fail(self, tenant: str, messages: Sequence[Message], rows: dict[int, OutboxRow], error: Exception) -> None:
        """Leave what failed for a later try, or give it up; the error's text may quote somebody's data."""
        uncounted = [message for message in messages if message.entry_id not in self._held.counted]
        self._stream.count_attempt(uncounted)
        tried = self._stream.attempts(messages)
        name = type(error).__name__
        _log.warning("consumer.failed", tenant=tenant, error=name, attempts=max(tried), at=places(error.__traceback__))
        spent = [message for message, count in zip(messages, tried, strict=True) if count >= ATTEMPTS]
        if spent:
            self._bury(tenant, spent, rows, f"the last failure was {name}")

    def _bury(self, tenant: str, messages: Sequence[Message], rows: dict[int, OutboxRow], why: str) -> None:
        expected = f"features that can be computed from the recipient's events; {why}"
        given_up = [rows[message.outbox_id] for message in messages]
        self._outbox.bury(self._tenants.get(tenant), given_up, expected=expected)
        self._stream.acknowledge(messages)
        self.counts.dead += len(messages)
        _log.error("consumer.dead_letter", tenant=tenant, count=len(messages))

    def _note_lag(self, rows: Iterable[OutboxRow]) -> None:
        commits = [row.recorded_at for row in rows if row.topic == EVENTS]
        if commits:
            self.counts.lag_seconds = (self._clock.real() - min(commits)).total_seconds()


def _by(messages: Sequence[Message], part: Callable[[Message], str]) -> Iterator[tuple[str, list[Message]]]:
    groups: dict[str, list[Message]] = defaultdict(list)
    for message in messages:
        groups[part(message)].append(message)
    yield from groups.items()


def consumer_of(parts: StreamParts, store: FeatureStore, *, name: str = "consumer") -> Consumer:
    """Return a consumer of this installation."""
    return Consumer(
        name=name,
        stream=parts.stream,
        outbox=parts.outbox,
        features=LiveFeatures(stream_wiring.event_log(parts), store),
        tenants=parts.tenants,
        clock=parts.clock,
    )


def registered_first(store: FeatureStore, step: Callable[[], float]) -> Callable[[], float]:
    """Return a step before which the features are registered once, so that no other program must have run before.

    A registry that is away is waited for like any store.
    """
    is_registered = False

    def first_or_later() -> float:
        nonlocal is_registered
        if not is_registered:
            if store.register_if_new():
                _log.info("consumer.features_registered")
            is_registered = True
        return step()

    return first_or_later


def main() -> None:
    """Run the consumer until SIGTERM."""

    def work(parts: StreamParts) -> None:
        with stream_wiring.feature_store(parts) as store:
            consumer = consumer_of(parts, store)
            worker = Worker(
                "consumer",
                registered_first(store, consumer.step),
                observe=consumer.observe,
                data_dir=parts.settings.data_dir,
            )
            worker.run_until_signalled()

    stream_wiring.run(load_settings(), work)


if __name__ == "__main__":
    main()
