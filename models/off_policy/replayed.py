"""What decisions would have earned under other rules: replayed decisions as a log, and the policy judged on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.off_policy.evaluate import Evaluation, evaluate
from models.off_policy.log import DecisionLog, Floats


@dataclass(frozen=True)
class Replayed:
    """One decision: what was done and how likely, what else could have been, and what would have been likely.

    Attributes:
        action: name of what was done.
        probability: the chance it had, in (0, 1].
        possible: chance of every action then, by name.
        otherwise: chance of every action under the other rules, by name.
        reward: what came of it.
        recipient: the independent unit.
        context: what tells decisions apart, by name.
    """

    action: str
    probability: float
    possible: Mapping[str, float]
    otherwise: Mapping[str, float]
    reward: float
    recipient: str
    context: Mapping[str, str]


def judge(decisions: Sequence[Replayed], *, seed: int = 0) -> Evaluation:
    """Return what the other rules would have earned, or why nobody can say.

    Args:
        decisions: at least one.
        seed: of the folds of the reward model.
    """
    log, policy = as_log(decisions)
    return evaluate(log, policy, seed=seed)


def as_log(decisions: Sequence[Replayed]) -> tuple[DecisionLog, Floats]:
    """Return decisions as a log, and the other rules' chances, shape (n, K)."""
    names = sorted({name for each in decisions for name in (each.action, *each.possible, *each.otherwise)})
    column = {name: place for place, name in enumerate(names)}
    eligible = np.zeros((len(decisions), len(names)), dtype=np.bool_)
    policy = np.zeros((len(decisions), len(names)))
    for row, each in enumerate(decisions):
        eligible[row, column[each.action]] = True
        for name, chance in each.possible.items():
            eligible[row, column[name]] |= chance > 0
        for name, chance in each.otherwise.items():
            policy[row, column[name]] = chance
    recipients = np.unique([each.recipient for each in decisions], return_inverse=True)[1]
    return (
        DecisionLog(
            context=pd.DataFrame([dict(each.context) for each in decisions]),
            actions=tuple(names),
            action=np.array([column[each.action] for each in decisions], dtype=np.int64),
            probability=np.array([each.probability for each in decisions], dtype=np.float64),
            reward=np.array([each.reward for each in decisions], dtype=np.float64),
            eligible=eligible,
            cluster=recipients.astype(np.int64),
        ),
        policy,
    )
