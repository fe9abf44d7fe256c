"""Whether the probability a decision logs is the chance with which it was drawn.

``python -m benchmarks.propensity`` asks three things of the decision itself (``domain.decisioning``), with no server:

- **Frequencies.** One situation of each policy is decided under 100,000 ids; how often each option of each
  stage was drawn is compared with its logged probability, as a z-score.
- **Mean weight.** 100,000 decisions in differing situations; for another policy over the actions that were possible the
  importance weights must average 1, and the bounds of the mean's 99 % interval are told.
- **Replay.** Every one of those decided a second time must be the same, to the last bit of its probability.

``--json`` prints one line for machines at the end.
"""

import json
import math
import sys
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.arguments import parsed
from domain import decisioning, policy
from domain.decision_request import DecisionRequest
from domain.decisioning import Draft
from domain.expected import Activity, Expected, VariantScores
from domain.gates import Screened, Situation, screen
from domain.policy import Action, PolicyName, Stage
from domain.stages import Asked, Settings
from domain.values import Channel
from models.off_policy.estimators import Estimate
from models.off_policy.intervals import fixed
from tests.builders import a_request, a_situation, a_type, an_expectation

SETTINGS = Settings(epsilon=0.1, temperature=0.02, send_cost=0.001)
SELF_TEST_ALPHA = 0.01
ACTIVITY = Activity(source="a wave", log_rates=tuple(math.sin(hour / 4) for hour in range(168)))
UNEVEN = VariantScores(policy=PolicyName.INVERSE_GAP, arms=("a", "b"), probabilities=(0.7, 0.3))
NAMESPACE = uuid.UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")


@dataclass(frozen=True)
class Case:
    """What a decision is made from, but its id."""

    name: str
    request: DecisionRequest
    situation: Situation
    screened: Screened
    expected: Expected
    is_holdout: bool

    def decide(self, decision_id: str) -> Draft:
        """Decide under an id."""
        asked = Asked(decision_id, self.request, self.situation, self.expected, self.is_holdout, SETTINGS)
        return decisioning.decide(asked, self.screened)


def main() -> None:
    """Measure and print."""
    asked = parsed(
        __doc__, decisions=(100_000, "draws of each case, and decisions"), seed=(0, "of the decisions' ids and scores")
    )
    result = measure(asked.decisions, seed=asked.seed)
    for name, value in result.items():
        print(f"{name:18} {value}", file=sys.stderr if asked.json else sys.stdout)
    if asked.json:
        print(json.dumps(result))


def measure(decisions: int, *, seed: int) -> dict[str, Any]:
    """Return the worst z-score, the mean weight's interval and how many replays differ."""
    worst = max(largest_z(case, decisions, seed) for case in cases())
    low, high, mismatches = self_test(decisions, seed)
    return {
        "decisions": decisions,
        "max_abs_z": round(worst, 4),
        "mean_weight_low": low,
        "mean_weight_high": high,
        "replay_mismatches": mismatches,
    }


def a_case(
    name: str,
    p_convert: Mapping[Channel, float] | None,
    *,
    is_holdout: bool = False,
    urgency: str | None = None,
    scores: VariantScores | None = None,
    **fields: Any,
) -> Case:
    """Return a case of a message with two channels and two variants."""
    request, situation = a_request(message={"urgency": urgency}), a_situation(definition=a_type(**fields))
    variants = dict.fromkeys(p_convert or {}, scores) if scores is not None else {}
    expected = an_expectation(p_convert, variants=variants, activity=ACTIVITY)
    return Case(name, request, situation, screen(request, situation), expected, is_holdout)


def cases() -> tuple[Case, ...]:
    """Return one situation of each policy, and one in which sending nothing is no choice."""
    scores = {Channel.EMAIL: 0.03, Channel.PUSH: 0.01}
    return (
        a_case("by value", scores),
        a_case("of its hour", scores, urgency="within_day"),
        a_case("by a variant's worth", scores, scores=UNEVEN),
        a_case("owed", scores, **{"class": "service"}),
        a_case("hold-out", scores, is_holdout=True),
        a_case("by rules", None),
    )


def largest_z(case: Case, draws: int, seed: int) -> float:
    """Return the largest distance of a frequency from its logged probability, in standard errors.

    A probability of 0 or 1 allows no other frequency: any other is infinitely far.
    """
    taken: dict[tuple[Action, ...], Counter[int]] = {}
    logged: dict[tuple[Action, ...], Stage] = {}
    for number in range(draws):
        for stage in _stages(case.decide(_id(case.name, seed, number))):
            same = logged.setdefault(stage.options, stage)
            if stage.probabilities != same.probabilities:
                return math.inf
            taken.setdefault(stage.options, Counter())[stage.chosen] += 1
    return max(
        abs(_z(taken[options][place], taken[options].total(), probability))
        for options, stage in logged.items()
        for place, probability in enumerate(stage.probabilities)
    )


def _stages(draft: Draft) -> tuple[Stage, ...]:
    if draft.choice is None:
        raise RuntimeError("a case with permitted channels was decided without a choice")
    return draft.choice.stages


def self_test(decisions: int, seed: int) -> tuple[float, float, int]:
    """Return the bounds of the mean weight's interval, and the decisions that a replay made differently."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(1.5, 30, (decisions, 2))
    kinds = rng.choice(len(cases()), decisions)
    base = cases()
    weight = np.empty(decisions)
    mismatches = 0
    for number in range(decisions):
        case = base[kinds[number]]
        if case.expected.can_value:
            varied = an_expectation({Channel.EMAIL: float(scores[number, 0]), Channel.PUSH: float(scores[number, 1])})
            told = case.expected.model_copy(update={"channels": varied.channels})
            case = replace(case, expected=told)
        decision_id = _id("self-test", seed, number)
        draft = case.decide(decision_id)
        mismatches += draft != case.decide(decision_id)
        weight[number] = _other_policy(draft) / draft.probability
    mean = float(weight.mean())
    found = fixed(Estimate(mean, weight - mean), np.arange(decisions), SELF_TEST_ALPHA)
    if found.low is None or found.high is None:
        raise RuntimeError("too few decisions for an interval")
    return found.low, found.high, mismatches


def _other_policy(draft: Draft) -> float:
    """Return the chance another policy, sharper and from the last possible action on, gives what was done."""
    chance = 1.0
    for stage in _stages(draft):
        possible = [place for place, chance in enumerate(stage.probabilities) if chance > 0]
        values = [0.01 * place / len(possible) for place in possible]
        chances = policy.epsilon_softmax(values, epsilon=0.05, temperature=0.01)
        chance *= chances[possible.index(stage.chosen)]
    return chance


def _z(count: int, draws: int, probability: float) -> float:
    expected, variance = draws * probability, draws * probability * (1 - probability)
    if variance == 0:
        return 0.0 if count == expected else math.inf
    return (count - expected) / math.sqrt(variance)


def _id(name: str, seed: int, number: int) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{name}/{seed}/{number}"))


if __name__ == "__main__":
    main()
