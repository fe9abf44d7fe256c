"""What recorded sends and what came of them teach of a type's variants: arrays, in an order that never changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from adapters.postgres.decision_outcomes import Happened
from domain import attribution
from domain.consent import ConsentStatus
from domain.events import EventType
from domain.message_types import MessageType
from domain.policy import StageName
from domain.values import Channel, Purpose
from models.content_bandit.context import vector
from models.content_bandit.items import Items
from models.variant_belief.belief import Learnt, VariantBelief

ANSWERS = frozenset({EventType.CLICKED, EventType.CONVERTED})
"""What counts as an answer to a message; opens count too where the law and the recipient let them be used."""


@dataclass(frozen=True)
class Lesson:
    """One send and what came of it: all that is learnt of it."""

    variant_id: str
    chances: Mapping[str, float]
    context: tuple[float, ...]
    exposure: float
    reward: float


def lesson(record: Mapping[str, Any], definition: MessageType, happened: Sequence[Happened]) -> Lesson | None:
    """Return what a send teaches, or None when it may not be learnt from.

    Args:
        record: of a decision that was sent.
        definition: its type, for the attribution window.
        happened: the events that name the decision.
    """
    stage = next((each for each in record.get("stages", ()) if each["name"] == StageName.VARIANT.value), None)
    if stage is None or not _may_be_learnt_from(record):
        return None
    channel, variant = Channel(record["channel"]), record["variant_id"]
    scores = record["expected"]["variants"].get(channel.value)
    inputs = scores["inputs"] if scores is not None else {}
    features = (record["features"] or {}).get(channel.value)
    options = zip(stage["options"], stage["probabilities"], strict=True)
    return Lesson(
        variant_id=variant,
        chances={option["variant_id"]: chance for option, chance in options},
        context=tuple(inputs["context"]) if "context" in inputs else vector(channel, features),
        exposure=inputs.get("exposure", {}).get(variant, 0.0),
        reward=_reward(record, definition, channel, happened),
    )


def _may_be_learnt_from(record: Mapping[str, Any]) -> bool:
    """Tell whether the recipient allowed personalization then, and had not refused analytics."""
    ended = {ConsentStatus.REFUSED.value, ConsentStatus.WITHDRAWN.value}
    consents = record["allowances"]["consents"]
    return record["may_personalize"] and not any(
        each["purpose"] == Purpose.ANALYTICS.value and each["status"] in ended for each in consents
    )


def _reward(
    record: Mapping[str, Any], definition: MessageType, channel: Channel, happened: Sequence[Happened]
) -> float:
    start = datetime.fromisoformat(record["decided_at"])
    end = start + attribution.window(definition, channel)
    counted = ANSWERS | {EventType.OPENED} if record["may_use_opens"] else ANSWERS
    return float(any(each.type in counted and start <= each.at <= end for each in happened))


def learnt(belief: VariantBelief | None, lessons: Sequence[Lesson], items: Items | None = None) -> VariantBelief:
    """Return the belief after some lessons, as one batch; the same lessons in the same order give the same bytes.

    Args:
        belief: before them; None for the prior.
        lessons: at least one.
        items: features of the variants as their type declares them now.
    """
    named = sorted({variant for each in lessons for variant in each.chances})
    grown = (belief if belief is not None else VariantBelief.fresh(named)).with_arms(named, items)
    places = {arm: place for place, arm in enumerate(grown.arms)}
    chances = np.zeros((len(lessons), len(places)))
    for row, each in enumerate(lessons):
        for variant, chance in each.chances.items():
            chances[row, places[variant]] = chance
    return grown.learned(
        Learnt(
            context=np.array([each.context for each in lessons], dtype=np.float64),
            exposure=np.array([each.exposure for each in lessons], dtype=np.float64),
            arm=np.array([places[each.variant_id] for each in lessons], dtype=np.int64),
            probabilities=chances,
            reward=np.array([each.reward for each in lessons], dtype=np.float64),
        )
    )
