"""Estimate policies' values by obp, and intervals by its bootstrap; called with the arrays' file and the answer's.

obp names torch, pyieoe and pingouin for its neural and comparing parts, which nothing here calls: empty modules stand
in for them.
"""

import json
import sys
import types

import numpy as np


class _Empty(types.ModuleType):
    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (object,), {})


for _name in (
    "torch", "torch.nn", "torch.nn.functional", "torch.optim", "torch.utils", "torch.utils.data",
    "pyieoe", "pyieoe.evaluator", "pingouin",
):  # fmt: skip
    _module = _Empty(_name)
    _module.__path__ = []
    sys.modules[_name] = _module
    _above, _, _last = _name.rpartition(".")
    if _above:
        setattr(sys.modules[_above], _last, _module)

from obp import ope  # noqa: E402
from obp.utils import estimate_confidence_interval_by_bootstrap  # noqa: E402


def values(given: dict[str, np.ndarray]) -> dict[str, float]:
    """Return six estimates of one log."""
    policy, model = given["policy"][:, :, None], given["model"][:, :, None]
    chance = {"pscore": given["probability"]}
    logged = {"reward": given["reward"], "action": given["action"], "action_dist": policy}
    modelled = {"estimated_rewards_by_reg_model": model}
    position = {"position": np.zeros(len(given["reward"]), dtype=int)}
    both = logged | chance | modelled | position
    threshold = float(given["threshold"])
    return {
        "ips": ope.InverseProbabilityWeighting().estimate_policy_value(**logged, **chance, **position),
        "snips": ope.SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**logged, **chance, **position),
        "dm": ope.DirectMethod().estimate_policy_value(action_dist=policy, **modelled, **position),
        "dr": ope.DoublyRobust().estimate_policy_value(**both),
        "sndr": ope.SelfNormalizedDoublyRobust().estimate_policy_value(**both),
        "switch_dr": ope.SwitchDoublyRobust(lambda_=threshold).estimate_policy_value(**both),
    }


def coverage(given: dict[str, np.ndarray]) -> dict[str, float]:
    """Return how often obp's bootstrap of each log's weighted rewards holds the truth."""
    truth, drawn = float(given["truth"]), int(given["bootstraps"])
    held = 0
    for seed, log in enumerate(given["samples"]):
        found = estimate_confidence_interval_by_bootstrap(log, alpha=0.05, n_bootstrap_samples=drawn, random_state=seed)
        held += found["95.0% CI (lower)"] <= truth <= found["95.0% CI (upper)"]
    return {"ips": held / len(given["samples"])}


with np.load(sys.argv[1]) as file:
    arrays = dict(file)
answer = coverage(arrays) if "samples" in arrays else values(arrays)
with open(sys.argv[2], "w", encoding="utf-8") as out:  # noqa: PTH123 - one line
    json.dump({name: float(value) for name, value in answer.items()}, out)
