"""What a belief says of decisions' variants: the chances of each, and everything they were made from.

The same function scores what is decided now and what was decided then: a record keeps its inputs, so that another
policy can be asked about them with the belief of that time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from domain.expected import VariantScores
from domain.policy import PolicyName
from models.content_bandit.items import Items
from models.variant_belief.belief import Rows, Spread, VariantBelief


@dataclass(frozen=True)
class Versioned:
    """A belief and which one it is; version 0 is the prior."""

    version: int
    belief: VariantBelief


@dataclass(frozen=True)
class Seen:
    """What is known of one decision on one channel: the bandit's context, shape (p,), and exposures by variant."""

    decision_id: str
    context: Sequence[float]
    exposure: Mapping[str, float]


def prior(arms: Sequence[str]) -> Versioned:
    """Return what is believed of variants before anything was learnt."""
    return Versioned(0, VariantBelief.fresh(arms))


def scored(
    believed: Versioned, items: Items, policy: PolicyName, seen: Sequence[Seen], spread: Spread
) -> list[VariantScores]:
    """Return the distribution over variants for each of n decisions.

    Args:
        believed: the belief that serves.
        items: of the variants that may be sent, in the order of their type; all others the belief knows sleep.
        policy: which draws.
        seen: n decisions.
        spread: numbers of epsilon-softmax.

    Raises:
        BadArms: the tables do not fit, or the policy is none over variants.
    """
    arms = tuple(items)
    belief = believed.belief.with_arms(arms, items)
    rows = Rows(
        context=np.array([each.context for each in seen], dtype=np.float64),
        exposure=np.array([[each.exposure.get(arm, 0.0) for arm in belief.arms] for each in seen], dtype=np.float64),
        eligible=np.tile(np.isin(belief.arms, arms), (len(seen), 1)),
        decision_ids=[each.decision_id for each in seen],
    )
    chances, worth = belief.probabilities(policy, rows, spread), belief.expected(policy, rows)
    columns = [belief.arms.index(arm) for arm in arms]
    told: dict[str, Any] = {arm: list(each) for arm, each in items.items() if any(each)}
    return [
        VariantScores(
            policy=policy,
            arms=arms,
            probabilities=tuple(chances[row, columns].tolist()),
            inputs={
                "belief": believed.version,
                "context": list(each.context),
                "exposure": {arm: h for arm in arms if (h := each.exposure.get(arm, 0.0))},
                "expected": dict(zip(arms, worth[row, columns].tolist(), strict=True)),
                **({"items": told} if told else {}),
            },
        )
        for row, each in enumerate(seen)
    ]


def version_of(scores: VariantScores) -> int:
    """Return which belief recorded scores were made from."""
    return int(str(scores.inputs["belief"]))


def seen_of(scores: VariantScores, decision_id: str) -> Seen:
    """Return what recorded scores were made from."""
    inputs: dict[str, Any] = dict(scores.inputs)
    return Seen(decision_id, inputs["context"], inputs["exposure"])
