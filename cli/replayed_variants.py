"""The variants of recorded decisions, scored by another policy with the belief that each decision had.

What a decision knew lies in its record, the belief in the store, in as many versions as are kept of each type. A
decision whose belief is kept no longer, or whose variants no belief was asked about, cannot be scored; it is left out
and counted, for it is neither as it was nor known otherwise.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from domain.expected import VariantScores
from domain.policy import PolicyName, VariantPolicy
from domain.values import Channel

if TYPE_CHECKING:
    from adapters.postgres.variant_beliefs import VariantBeliefs
    from domain.decision_replay import Past
    from domain.tenants import Tenant
    from domain.what_if import Changes
    from models.variant_belief.scored import Versioned

Variants = dict[Channel, VariantScores]
_NEED_NO_BELIEF = frozenset({VariantPolicy.RULES, VariantPolicy.UNIFORM})


class OtherVariants:
    """Scores the variants of one tenant's decisions anew."""

    def __init__(self, stored: "VariantBeliefs", tenant: "Tenant", changes: "Changes") -> None:
        self._stored = stored
        self._tenant = tenant
        self._changes = changes
        self._beliefs: dict[tuple[str, int], Versioned | None] = {}
        self.left_out = 0

    def of(self, some: Sequence["Past"]) -> "list[tuple[Past, Variants | None]]":
        """Return each decision with its variants' new scores, None where they stay; left out is who has none."""
        made = self._made(some)
        kept: list[tuple[Past, Variants | None]] = []
        for decision, scores in zip(some, made, strict=True):
            if scores is None and not self._was_never_scored(decision):
                kept.append((decision, None))
            elif scores is not None and all(scores.values()):
                kept.append((decision, {channel: each for channel, each in scores.items() if each is not None}))
        self.left_out += len(some) - len(kept)
        return kept

    def _made(self, some: Sequence["Past"]) -> list[dict[Channel, VariantScores | None] | None]:
        """Return new scores by channel, None for a channel whose belief is gone; None where nothing is to be scored."""
        asked = [self._changes.variants_of(each) for each in some]
        made: list[dict[Channel, VariantScores | None]] = [{} for _ in some]
        alike: dict[_Alike, list[tuple[int, Channel]]] = defaultdict(list)
        for place, (decision, wanted) in enumerate(zip(some, asked, strict=True)):
            # Rules draw evenly where nothing was scored.
            if wanted is not None and wanted is not PolicyName.RULES:
                for channel, scores in decision.asked.expected.variants.items():
                    alike[_alike(decision, scores, wanted)].append((place, channel))
        for key, places in alike.items():
            believed = self._belief(key.message_type, key.belief, key.arms)
            for (place, channel), scored in zip(places, self._scored(believed, key.policy, some, places), strict=True):
                made[place][channel] = scored
        return [each if wanted is not None else None for each, wanted in zip(made, asked, strict=True)]

    def _was_never_scored(self, decision: "Past") -> bool:
        """Tell whether a policy is asked for that needs a belief, of variants that rules drew."""
        wanted, asked = self._changes.variant_policy, decision.asked
        is_choice = len(asked.situation.definition.variants) > 1
        return wanted not in {None, *_NEED_NO_BELIEF} and is_choice and not asked.expected.variants

    def _scored(
        self,
        believed: "Versioned | None",
        policy: PolicyName,
        some: "Sequence[Past]",
        places: Sequence[tuple[int, Channel]],
    ) -> "Sequence[VariantScores | None]":
        from models.content_bandit.items import items_of
        from models.variant_belief.belief import Spread
        from models.variant_belief.scored import scored, seen_of

        if believed is None:
            return [None] * len(places)
        asked = [(some[place].asked, channel) for place, channel in places]
        first, channel = asked[0]
        arms = first.expected.variants[channel].arms
        items = {arm: each for arm, each in items_of(first.situation.definition.variants).items() if arm in arms}
        settings = first.settings.model_copy(update=dict(self._changes.settings))
        return scored(
            believed,
            items,
            policy,
            [seen_of(each.expected.variants[channel], each.decision_id) for each, channel in asked],
            Spread(epsilon=settings.epsilon, temperature=settings.temperature),
        )

    def _belief(self, message_type: str, version: int, arms: Sequence[str]) -> "Versioned | None":
        from models.variant_belief.belief import verified
        from models.variant_belief.scored import Versioned, prior

        if not version:
            return prior(arms)
        key = (message_type, version)
        if key not in self._beliefs:
            kept = self._stored.in_version(self._tenant.tenant, message_type, version)
            self._beliefs[key] = Versioned(version, verified(kept.body, kept.digest)) if kept is not None else None
        return self._beliefs[key]


class _Alike(NamedTuple):
    """What decisions share that can be scored together."""

    message_type: str
    type_version: int
    arms: tuple[str, ...]
    belief: int
    policy: PolicyName
    epsilon: float
    temperature: float


def _alike(decision: "Past", scores: VariantScores, policy: PolicyName) -> _Alike:
    from models.variant_belief.scored import version_of

    message_type, version = decision.asked.situation.definition.type, decision.record["versions"]["message_type"]
    settings = decision.asked.settings
    return _Alike(
        message_type, version, scores.arms, version_of(scores), policy, settings.epsilon, settings.temperature
    )
