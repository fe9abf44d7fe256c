"""The learner: every minute it learns which variants are answered, from sends whose attribution windows have closed.

It writes versions of each type's belief; the service swaps them in. Killed at any moment it loses nothing: what was not
committed is learnt again, in the same batches, to the same bytes. Its process moves the prices of volume too.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import structlog

from adapters.postgres.decision_outcomes import DecisionOutcomes
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.variant_beliefs import MOST, Learned, Stored, VariantBeliefs
from adapters.settings import load_settings
from domain import attribution
from domain.message_types import MessageType
from domain.tenants import Tenant
from models.content_bandit.items import items_of
from models.variant_belief.belief import BadBelief, VariantBelief, digest, verified
from serving import stream_wiring
from serving.pacer import pacer_of
from serving.stream_wiring import StreamParts
from serving.variant_lessons import learnt, lesson
from serving.worker import Numbers, Worker

EVERY_SECONDS = 60.0
_log = structlog.get_logger(__name__)


@dataclass
class LearnerCounts:
    """What a learner did since its start."""

    batches: int = 0
    learned: int = 0
    left_out: int = 0
    refused_beliefs: int = 0


class Learner:
    """Learns, tenant by tenant and type by type; two of them learn nothing twice."""

    def __init__(
        self,
        *,
        beliefs: VariantBeliefs,
        outcomes: DecisionOutcomes,
        types: MessageTypes,
        tenants: Callable[[], Iterable[Tenant]],
        now: Callable[[Tenant], datetime],
    ) -> None:
        """Connect nothing yet.

        Args:
            beliefs: what is moved.
            outcomes: what came of decisions.
            types: which message types there are.
            tenants: whose.
            now: a tenant's clock.
        """
        self.counts = LearnerCounts()
        self._beliefs = beliefs
        self._outcomes = outcomes
        self._types = types
        self._tenants = tenants
        self._now = now

    def step(self) -> float:
        """Learn a batch of every type that has something new; return how many seconds to wait before the next step."""
        most = 0
        for tenant in self._tenants():
            for published in self._types.all(tenant):
                if len(published.definition.variants) > 1:
                    most = max(most, self.learn(tenant, published.definition))
        return 0.0 if most >= MOST else EVERY_SECONDS

    def learn(self, tenant: Tenant, definition: MessageType) -> int:
        """Learn one batch of one type; return how many sends were read."""
        longest = max(attribution.window(definition, channel) for channel in definition.channels)

        def learned(newest: Stored | None, records: list[dict[str, Any]], until: datetime) -> Learned:
            return self._learned(tenant, definition, newest, records, until)

        read = self._beliefs.learn(tenant, definition.type, until=self._now(tenant) - longest, learned=learned)
        return read or 0

    def _learned(
        self,
        tenant: Tenant,
        definition: MessageType,
        newest: Stored | None,
        records: list[dict[str, Any]],
        until: datetime,
    ) -> Learned:
        happened = self._outcomes.of(tenant, [each["decision_id"] for each in records])
        told = [lesson(each, definition, happened.get(each["decision_id"], ())) for each in records]
        lessons = [each for each in told if each is not None]
        before = self._believed(tenant, newest)
        # Where nothing may be learnt from, the belief stays and only its moment moves on.
        if lessons or before is not None:
            after = learnt(before, lessons, items_of(definition.variants)) if lessons else before
        else:
            after = VariantBelief.fresh([variant.id for variant in definition.variants])
        assert after is not None  # noqa: S101 - one of the three
        body = after.as_bytes()
        self.counts.batches += 1
        self.counts.learned += len(lessons)
        self.counts.left_out += len(records) - len(lessons)
        _log.info("belief.learned", tenant=tenant.tenant, type=definition.type, rows=len(lessons), read=len(records))
        return Learned(until, after.learned_rows, body, digest(body))

    def _believed(self, tenant: Tenant, newest: Stored | None) -> VariantBelief | None:
        """Return the belief that was stored; one that was damaged is told and left behind, for the prior."""
        if newest is None:
            return None
        try:
            return verified(newest.body, newest.digest)
        except BadBelief as error:
            self.counts.refused_beliefs += 1
            _log.error("belief.refused", tenant=tenant.tenant, type=newest.message_type, problem=str(error))
            return None


def learner_of(parts: StreamParts) -> Learner:
    """Return the learner of this installation."""
    return Learner(
        beliefs=VariantBeliefs(parts.database),
        outcomes=DecisionOutcomes(parts.database),
        types=MessageTypes(parts.database),
        tenants=parts.tenants.all,
        now=parts.clock.now,
    )


def main() -> None:
    """Run the learner until SIGTERM."""

    def work(parts: StreamParts) -> None:
        learner, pacer = learner_of(parts), pacer_of(parts)

        def step() -> float:
            return min(learner.step(), pacer.step())

        def observe() -> Numbers:
            return Numbers(asdict(learner.counts) | asdict(pacer.counts), {})

        Worker("learner", step, observe=observe, data_dir=parts.settings.data_dir).run_until_signalled()

    stream_wiring.run(load_settings(), work)


if __name__ == "__main__":
    main()
