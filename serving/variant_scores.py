"""Which variant each decision of a batch would draw, and with which chance: arrays over decisions and channels.

The belief of each message type is in memory; nothing here reads a store. Who allows no personalization is judged by
what is known of the channel alone.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog

from domain.expected import Expected, VariantScores
from domain.message_types import MessageType
from domain.policy import PolicyName, VariantPolicy
from domain.stages import Settings
from domain.values import Channel
from models.arm_draws import BadArms
from models.content_bandit.context import is_personal, vector
from models.content_bandit.items import items_of
from models.variant_belief.belief import Spread
from models.variant_belief.scored import Seen, Versioned, prior, scored

DEFAULT = VariantPolicy.INVERSE_GAP
log = structlog.get_logger("kairos.variants")


Items = tuple[tuple[str, tuple[float, ...]], ...]
"""Variants with their features, in the order of their type."""
Beliefs = Callable[[str, str], Versioned | None]
"""The belief of a tenant's message type in memory, or None before anything was learnt; never waits."""


@dataclass(frozen=True)
class ToVary:
    """One decision whose variant may have to be drawn.

    ``features`` is the engagement model's input by channel; with the decayed ``exposure`` by variant it is None and
    empty for who allows no personalization. ``asked`` is the policy that a request names to test it.
    """

    decision_id: str
    definition: MessageType
    channels: Sequence[Channel]
    features: Mapping[str, Mapping[str, float | None]] | None = None
    exposure: Mapping[str, float] = field(default_factory=dict)
    asked: VariantPolicy | None = None

    @property
    def policy(self) -> VariantPolicy:
        """The request's, the type's, or the default."""
        return self.asked or self.definition.variant_policy or DEFAULT

    @property
    def arms(self) -> tuple[str, ...]:
        """The variants that may be sent; all others sleep."""
        return tuple(variant.id for variant in self.definition.variants)

    @property
    def items(self) -> tuple[tuple[float, ...], ...]:
        """The features of each, in the same order."""
        return tuple(items_of(self.definition.variants).values())

    @property
    def is_open(self) -> bool:
        """True when there is something to draw, by other than rules."""
        several = len(self.definition.variants) > 1
        return several and bool(self.channels) and self.policy is not VariantPolicy.RULES


def with_variants(
    beliefs: Beliefs, tenant: str, asked: Sequence[ToVary], expected: Sequence[Expected], settings: Settings
) -> list[Expected]:
    """Return what is expected of each decision, with the distributions over its variants."""
    spread = Spread(epsilon=settings.epsilon, temperature=settings.temperature)
    scores = variant_scores(beliefs, tenant, asked, spread=spread)
    return [
        mean.model_copy(update={"variants": found, "is_personal": mean.is_personal or stands_on_person(each, found)})
        if found
        else mean
        for each, mean, found in zip(asked, expected, scores, strict=True)
    ]


def variant_scores(
    beliefs: Beliefs, tenant: str, asked: Sequence[ToVary], *, spread: Spread
) -> list[dict[Channel, VariantScores]]:
    """Return each decision's distribution over variants for each of its channels, in the order given.

    Args:
        beliefs: what is believed of a tenant's message type.
        tenant: whose decisions.
        asked: n decisions; one without a choice gets nothing, and rules draw.
        spread: numbers of epsilon-softmax.
    """
    found: list[dict[Channel, VariantScores]] = [{} for _ in asked]
    alike: dict[tuple[str, Items, PolicyName], list[tuple[int, Channel]]] = defaultdict(list)
    for place, each in enumerate(asked):
        if each.is_open:
            items = tuple(zip(each.arms, each.items, strict=True))
            key = (each.definition.type, items, each.policy.in_its_version)
            alike[key] += [(place, channel) for channel in each.channels]
    for (message_type, items, policy), places in alike.items():
        believed = beliefs(tenant, message_type) or prior([arm for arm, _ in items])
        some = [_seen(asked[place], channel) for place, channel in places]
        try:
            made = scored(believed, dict(items), policy, some, spread)
        except (BadArms, FloatingPointError, np.linalg.LinAlgError) as error:
            # No decision fails for a belief: rules draw this one's variant, and it is told.
            log.error("variants.failed", type=message_type, belief=believed.version, error=type(error).__name__)  # noqa: TRY400
            continue
        for (place, channel), scores in zip(places, made, strict=True):
            found[place][channel] = scores
    return found


def _seen(asked: ToVary, channel: Channel) -> Seen:
    context = vector(channel, (asked.features or {}).get(channel.value))
    return Seen(asked.decision_id, list(context), asked.exposure)


def stands_on_person(asked: ToVary, scores: Mapping[Channel, VariantScores]) -> bool:
    """Tell whether any of it was made from what is known of the recipient, which a late withdrawal takes away."""
    features = asked.features or {}
    return bool(scores) and (
        bool(asked.exposure) or any(is_personal(vector(each, features.get(each.value))) for each in scores)
    )
