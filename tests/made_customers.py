"""Customers made by the laws the models assume, with parameters that are known."""

import numpy as np

from models.lifetime_value.summary import Customers

TRUE = {"r": 0.8, "alpha": 6.0, "a": 0.9, "b": 2.5}
TRUE_SPEND = {"p": 6.0, "q": 4.0, "gamma": 15.0}


def customers(count=3000, *, seed=1, ages=(30.0, 60.0), parameters=None):
    """Return customers, and how often each bought in the ``ahead`` time units after observation ended."""
    return lives(count, seed=seed, ages=ages, ahead=0.0, parameters=parameters)[0]


def lives(count, *, seed, ages, ahead, parameters=None):
    law, dice = parameters or TRUE, np.random.default_rng(seed)
    rate = dice.gamma(law["r"], 1 / law["alpha"], count)
    leaves = dice.beta(law["a"], law["b"], count)
    age = dice.uniform(*ages, count)
    found = [_purchases(rate[who], leaves[who], age[who] + ahead, dice) for who in range(count)]
    seen = [times[times < old] for times, old in zip(found, age, strict=True)]
    later = np.array([len(times) - len(before) for times, before in zip(found, seen, strict=True)])
    often = np.array([len(times) for times in seen])
    last = np.array([times[-1] if len(times) else 0.0 for times in seen])
    return Customers.of(often, last, age, _spend(often, dice)), later


def _purchases(rate, leaves, until, dice):
    times, now = [], 0.0
    while True:
        now += dice.exponential(1 / rate)
        if now >= until:
            return np.array(times)
        times.append(now)
        if dice.random() < leaves:
            return np.array(times)


def _spend(often, dice):
    law = TRUE_SPEND
    scale = dice.gamma(law["q"], 1 / law["gamma"], len(often))
    total = dice.gamma(law["p"] * np.maximum(often, 1)) / scale
    return np.where(often > 0, total / np.maximum(often, 1), np.nan)
