"""Whether the probability a decision logs is the chance with which it was drawn.

``python -m benchmarks.propensity`` asks three things of the decision itself (``domain.decisioning``), with no server:

- **Frequencies.** One situation of each policy, also over variants, is decided under 100,000 ids; how often each option
  of each stage was drawn is compared with its logged probability, as a z-score.
- **Mean weight.** 100,000 decisions in differing situations; for another policy over the actions that were possible the
  importance weights must average 1, and the bounds of the mean's 99 % interval are told.
- **Replay.** Every one of those decided a second time must be the same, to the last bit of its probability.

``--json`` prints one line for machines at the end.
"""

import json
import math
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.arguments import parsed
from domain import decisioning, policy
from domain.decision_request import DecisionRequest
from domain.decisioning import Draft
from domain.expected import Activity, Expected, VariantScores
from domain.gates import Screened, Situation, screen
from domain.policy import Action, PolicyName, Stage, VariantPolicy
from domain.stages import Asked, Settings
from domain.values import Channel
from models.content_bandit.context import vector
from models.off_policy.estimators import Estimate
from models.off_policy.intervals import fixed
from models.variant_belief.belief import Learnt, Spread, VariantBelief
from models.variant_belief.scored import Versioned
from serving.variant_scores import ToVary, variant_scores
from tests.builders import a_request, a_situation, a_type, an_expectation

SETTINGS = Settings(epsilon=0.1, temperature=0.02, send_cost=0.001)
SELF_TEST_ALPHA = 0.01
ACTIVITY = Activity(source="a wave", log_rates=tuple(math.sin(hour / 4) for hour in range(168)))
FEATURES = {"email": {"active_days_count_30d": 9.0}, "push": {"active_days_count_30d": 9.0}}
EXPOSURE = {"a": 0.2}
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
    variants_by: VariantPolicy | None = None

    def expecting(self, decision_ids: Sequence[str]) -> list[Expected]:
        """Return what is expected of the decision under each id: a policy over variants may look at it."""
        if self.variants_by is None:
            return [self.expected] * len(decision_ids)
        definition, channels = self.situation.definition, self.screened.permitted
        asked = [ToVary(each, definition, channels, FEATURES, EXPOSURE, self.variants_by) for each in decision_ids]
        spread = Spread(epsilon=SETTINGS.epsilon, temperature=SETTINGS.temperature)
        scores = variant_scores(believed, "", asked, spread=spread)
        return [self.expected.model_copy(update={"variants": each}) for each in scores]

    def decide(self, decision_id: str, expected: Expected | None = None) -> Draft:
        """Decide under an id; what is expected may be known before."""
        (told,) = [expected] if expected is not None else self.expecting([decision_id])
        asked = Asked(decision_id, self.request, self.situation, told, self.is_holdout, SETTINGS)
        return decisioning.decide(asked, self.screened)


def believed(_tenant: str, _message_type: str) -> Versioned:
    """Return a belief that learnt from 900 answers, of ``b`` the most, and of a variant that sleeps by now."""
    return _BELIEF


def _learnt() -> Versioned:
    arm = np.arange(900) % 3
    context = np.tile(vector(Channel.PUSH, FEATURES["push"]), (900, 1))
    reward = np.array((0.03, 0.06, 0.3))[arm] > np.random.default_rng(7).random(900)
    batch = Learnt(context, arm / 3.0, arm, np.full((900, 3), 1 / 3), reward.astype(np.float64))
    return Versioned(1, VariantBelief.fresh(("a", "b", "gone")).learned(batch))


_BELIEF = _learnt()


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
        a_case("owed", scores, scores=None, is_holdout=False, urgency=None, **{"class": "service"}),
        a_case("hold-out", scores, is_holdout=True),
        a_case("by rules", None),
        *(replace(a_case(f"variants by {each}", scores), variants_by=each) for each in BY_BELIEF),
    )


BY_BELIEF = tuple(each for each in VariantPolicy if each is not VariantPolicy.RULES)


def largest_z(case: Case, draws: int, seed: int) -> float:
    """Return the largest distance of a frequency from its logged probability, in standard errors.

    Thompson sampling counts its chances for each decision anew, so chances and their variances are summed. A
    probability of 0 or 1 allows no other frequency: any other is infinitely far.
    """
    taken: dict[tuple[Action, ...], Counter[int]] = defaultdict(Counter)
    chances: dict[tuple[Action, ...], list[list[float]]] = defaultdict(list)
    for start in range(0, draws, _AT_ONCE):
        ids = [_id(case.name, seed, number) for number in range(start, min(start + _AT_ONCE, draws))]
        for decision_id, expected in zip(ids, case.expecting(ids), strict=True):
            for stage in _stages(case.decide(decision_id, expected)):
                taken[stage.options][stage.chosen] += 1
                chances[stage.options].append(list(stage.probabilities))
    return max(
        abs(_z(taken[options][place], column))
        for options, rows in chances.items()
        for place, column in enumerate(np.array(rows).T)
    )


_AT_ONCE = 1_000


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


def _z(count: int, chances: npt.NDArray[np.float64]) -> float:
    expected, variance = math.fsum(chances), math.fsum(chances * (1 - chances))
    if variance == 0:
        return 0.0 if count == expected else math.inf
    return (count - expected) / math.sqrt(variance)


def _id(name: str, seed: int, number: int) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{name}/{seed}/{number}"))


if __name__ == "__main__":
    main()
