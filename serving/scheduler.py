"""The scheduler: tells senders what is due, puts off what may not go yet, and gives up what never will.

It hands nothing over itself: what a message says is kept nowhere, so its sender asks, and is checked then, in the
transaction that commits. Killed at any moment the scheduler loses nothing and tells nothing twice: every step is one
transaction that finds the row as it was read.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

import structlog

from adapters.clock import Clock
from adapters.handover_tokens import HandoverTokens
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.digest_queue import Digests as DigestQueue
from adapters.postgres.digest_queue import Due
from adapters.postgres.engine import Unavailable
from adapters.postgres.follow_up_queue import FollowUps, Waiting
from adapters.secrets import SecretBox
from adapters.settings import load_settings
from domain.handover import Verdict
from domain.tenants import Tenant
from serving import stream_wiring
from serving.decide import Decider
from serving.digest_round import DigestRound
from serving.digests import Digests
from serving.handovers import HandedOver, Handovers
from serving.stream_wiring import StreamParts
from serving.worker import LAG, Numbers, Worker

ACTOR = "scheduler"
AT_A_TIME = 100
IDLE_SECONDS = 0.5
FORGET_SECONDS = 60.0
KEEP_SETTLED = timedelta(days=90)
"""As long as the budget looks back: an outcome reported later finds its decision all the same."""
TENANT_SECONDS = 2.0
"""For the digests of one tenant in a round; then the others come, and what is left of it in the next round."""
REST_SECONDS = 60.0
"""Rest of what met a fault, so that it does not hold up the others."""
_log = structlog.get_logger(__name__)


@dataclass
class SchedulerCounts:
    """What a scheduler did since its start."""

    released: int = 0
    postponed: int = 0
    stopped: int = 0
    faults: int = 0
    forgotten: int = 0
    digests: int = 0
    digested: int = 0
    undigested: int = 0


class Scheduler:
    """Goes through what is due, tenant by tenant."""

    def __init__(
        self,
        *,
        handovers: Handovers,
        digests: Digests,
        tenants: Callable[[], Sequence[Tenant]],
        clock: Callable[[], Clock] = Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect nothing yet.

        Args:
            handovers: checks what is due.
            digests: checks what is due together.
            tenants: names every tenant.
            clock: tells each tenant's time.
            monotonic: the clock of what a tenant may take.
        """
        self.counts = SchedulerCounts()
        self._handovers = handovers
        self._queue = handovers.queue
        self._digests = DigestRound(digests, handovers.queue, actor=ACTOR)
        self._tenants = tenants
        self._clock = clock()
        self._monotonic = monotonic
        self._rests_until: dict[str, float] = {}
        self._forget_at = 0.0

    def step(self) -> float:
        """Do what is due of every tenant; returns how many seconds to wait before the next step.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        started = time.monotonic()
        tenants = self._tenants()
        done = sum(self._due_together(tenant) + self._due(tenant) for tenant in tenants)
        if started >= self._forget_at:
            self._forget_at = started + FORGET_SECONDS
            self._rests_until = {each: until for each, until in self._rests_until.items() if until > started}
            self.counts.forgotten += sum(self._forget(tenant) for tenant in tenants)
        # With many tenants a round takes longer; it then rests as long, or it would keep a core busy with asking.
        return 0.0 if done else max(IDLE_SECONDS, time.monotonic() - started)

    def observe(self) -> Numbers:
        """Return what was done and what waits, and for how long the oldest is due that senders were not told of."""
        waiting, lag = 0, 0.0
        for tenant in self._tenants():
            now = self._clock.now(tenant)
            count, oldest = self._queue.waiting(tenant, now=now)
            waiting += count
            lag = max(lag, (now - oldest).total_seconds() if oldest is not None else 0.0)
        return Numbers(asdict(self.counts), {LAG: lag, "waiting": float(waiting)})

    def _due(self, tenant: Tenant) -> int:
        now = self._clock.now(tenant)
        due = self._queue.due(tenant, now=now, limit=AT_A_TIME, leaving_out=self._resting())
        return sum(self._settle(tenant, each) for each in due)

    def _due_together(self, tenant: Tenant) -> int:
        now = self._clock.now(tenant)
        found = self._digests.queue.due(tenant, now=now, limit=AT_A_TIME, leaving_out=self._resting())
        until = self._monotonic() + TENANT_SECONDS
        done = 0
        for number, due in enumerate(found):
            if number and self._monotonic() >= until:
                break
            done += self._settle_together(tenant, due, until)
        return done

    def _settle_together(self, tenant: Tenant, due: Due, until: float) -> int:
        try:
            now = self._clock.now(tenant)
            settled = self._digests.settle(tenant, due, now=now, goes_on=lambda: self._monotonic() < until)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - like one message that cannot be checked
            self._rest(tenant, due.items[0], error)
            return 0
        done = asdict(settled)
        for name, count in done.items():
            setattr(self.counts, name, getattr(self.counts, name) + count)
        return sum(done.values())

    def _rest(self, tenant: Tenant, waiting: Waiting, error: Exception) -> None:
        # The text of an error may hold somebody's data; its kind does not.
        _log.error("scheduler.fault", tenant=tenant.tenant, decision=waiting.decision_id, kind=type(error).__name__)
        self.counts.faults += 1
        self._rests_until[waiting.decision_id] = time.monotonic() + REST_SECONDS

    def _resting(self) -> list[str]:
        now = time.monotonic()
        return [decision_id for decision_id, until in self._rests_until.items() if until > now]

    def _settle(self, tenant: Tenant, waiting: Waiting) -> bool:
        now = self._clock.now(tenant)
        try:
            found = self._handovers.check(tenant, waiting, now=now)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - what cannot be checked must not hold up everything else that is due
            self._rest(tenant, waiting, error)
            return False
        return self._told(tenant, waiting, found)

    def _told(self, tenant: Tenant, waiting: Waiting, found: HandedOver) -> bool:
        now = self._clock.now(tenant)
        name = {"tenant": tenant.tenant, "decision": waiting.decision_id}
        if found.verdict is Verdict.GO:
            done = self._queue.release(tenant, waiting, now=now)
            self.counts.released += done
            _log.info("handover.released", **name)
        elif found.verdict is Verdict.WAIT and found.opens_at is not None:
            done = self._queue.postpone(tenant, waiting, due_at=found.opens_at)
            self.counts.postponed += done
            _log.info("handover.postponed", **name, reason=found.reason.value)
        else:
            done = self._queue.stop(tenant, waiting, found.reason, actor=ACTOR, now=now)
            self.counts.stopped += done
            _log.info("handover.stopped", **name, reason=found.reason.value)
        return done

    def _forget(self, tenant: Tenant) -> int:
        return self._queue.forget(tenant, settled_before=self._clock.now(tenant) - KEEP_SETTLED)


def scheduler_of(parts: StreamParts) -> Scheduler:
    """Return the scheduler of this installation; it asks no model, for it draws nothing."""
    box = SecretBox.of(parts.settings)
    decider = Decider(DecisionLog(parts.database), lambda: None, parts.settings)
    queue, tokens = FollowUps(parts.database), HandoverTokens(box)
    handovers = Handovers(decider, queue, tokens)
    digests = Digests(decider, DigestQueue(parts.database), queue, tokens)
    return Scheduler(handovers=handovers, digests=digests, tenants=lambda: list(parts.tenants.all()))


def main() -> None:
    """Run the scheduler until SIGTERM."""

    def work(parts: StreamParts) -> None:
        scheduler = scheduler_of(parts)
        worker = Worker("scheduler", scheduler.step, observe=scheduler.observe, data_dir=parts.settings.data_dir)
        worker.run_until_signalled()

    stream_wiring.run(load_settings(), work)


if __name__ == "__main__":
    main()
