"""Logs made by a known policy in a world whose truth is known."""

import numpy as np
import pandas as pd

from models.off_policy.log import DecisionLog

ACTIONS = ("a", "b", "c")


def made_log(n=6000, *, seed=0, per_recipient=1, base=0.1, effects=(0.0, 0.05, 0.1), by_x=0.0, logged=None):
    """Return a log, and the truth: expected reward of each action in each row."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    truth = np.clip(base + np.array(effects) + by_x * np.sign(x)[:, None] * np.array([1.0, 0.0, -1.0]), 0, 1)
    chances = np.tile(np.array(logged or (0.5, 0.3, 0.2)), (n, 1))
    action = (rng.random((n, 1)) >= np.cumsum(chances, axis=1)).sum(axis=1)
    place = np.arange(n)
    log = DecisionLog(
        context=pd.DataFrame({"x": x, "kind": np.where(rng.random(n) < 0.5, "web", "shop")}),
        actions=ACTIONS,
        action=action,
        probability=chances[place, action],
        reward=(rng.random(n) < truth[place, action]).astype(np.float64),
        eligible=np.ones((n, 3), dtype=np.bool_),
        cluster=place // per_recipient,
    )
    return log, truth


def constant(log, *chances):
    """Return a policy that gives each row the same chances."""
    return np.tile(np.array(chances, dtype=np.float64), (len(log), 1))
