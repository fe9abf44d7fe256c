"""Weekly levels by price beside HiGHS (experiment B8), and a price that paces a day's volume (B9).

B8: skewed utilities with dents and leaving, a total of two messages a head; the peer solves the relaxed plan of the
same utilities. Seconds are those of the processor, so that other work beside it does not count. B9: messages come
through the day with the hours of the simulated population, each day's volume 20 % off what was expected, values
log-normal and drifting; 10 % may be sent. The peer is the first day's price, kept.
"""

import os
import time
from typing import Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, vstack

from models.send_time.spec import POPULATION_PROFILE
from models.volume import pacing, score
from models.volume.pacing import Pace
from models.volume.score import Floats

LEVELS, PEER_PEOPLE, MANY = 8, 20_000, 1_000_000
LEAST_SHARE, MOST_SECONDS = 0.999, 10.0
DAYS, STEPS_AN_HOUR, CANDIDATES, SENT_SHARE = 30, 6, 100_000, 0.10
MOST_ERROR, LEAST_VALUE = 0.02, 0.97
FIRST_SEED, WORLDS = 100, 20


def solver(people: int = PEER_PEOPLE, many: int = MANY) -> dict[str, Any]:
    """Return how near levels by price come to the optimum, and how long a million recipients take (B8)."""
    shares = []
    for seed in range(FIRST_SEED, FIRST_SEED + 3):
        values = utilities(people, seed)
        found = score.assigned(values, 2 * people)
        shares.append((found.value - values[:, 0].sum()) / (optimum(values, 2 * people) - values[:, 0].sum()))
    values = utilities(many, FIRST_SEED)
    started, busy = time.perf_counter(), time.process_time()
    found = score.assigned(values, 2 * many)
    elapsed, seconds = time.perf_counter() - started, time.process_time() - busy
    return {
        "share_of_optimum": float(min(shares)),
        "peer": "HiGHS on the relaxed plan",
        "people": many,
        "share_of_bound": float((found.value - values[:, 0].sum()) / (found.bound - values[:, 0].sum())),
        "seconds": round(seconds, 2),
        "elapsed": round(elapsed, 2),
        "load": round(os.getloadavg()[0], 1),
        "met": bool(min(shares) >= LEAST_SHARE and seconds <= MOST_SECONDS),
    }


def utilities(people: int, seed: int) -> Floats:
    """Return utilities that saturate, dent and fall, shape (people, 8)."""
    rng = np.random.default_rng(seed)
    level = np.arange(LEVELS)
    gain = rng.lognormal(-2, 1, (people, 1)) * (1 - np.exp(-level / rng.uniform(1, 5, (people, 1))))
    dent = rng.normal(0, 0.01, (people, LEVELS)) * (level > 0)
    p_out = np.minimum(1.0, rng.lognormal(-6, 1, (people, 1)) * level**1.5)
    return score.utility(p_out, 1 + gain + dent, rng.uniform(0, 0.5, people))


def optimum(values: Floats, total: float) -> float:
    """Return the relaxed optimum by HiGHS.

    Raises:
        RuntimeError: HiGHS did not find it.
    """
    people, levels = values.shape
    own = csr_matrix((np.ones(values.size), np.arange(values.size), np.arange(0, values.size + 1, levels)))
    used = csr_matrix(np.tile(np.arange(levels, dtype=np.float64), people)[None, :])
    found = linprog(
        -values.ravel(),
        A_ub=vstack([own, used], format="csr"),
        b_ub=np.append(np.ones(people), total),
        bounds=(0, 1),
        method="highs",
    )
    if found.status != 0:
        raise RuntimeError(f"HiGHS: {found.message}")
    return -float(found.fun)


def pace(seeds: range = range(FIRST_SEED, FIRST_SEED + WORLDS)) -> dict[str, Any]:
    """Return the error of daily volume and the share of the oracle's value, by price and by a fixed one (B9)."""
    found = np.array([_days(seed) for seed in seeds])
    error, value, fixed_error, fixed_value = found.mean(axis=0)
    return {
        "worlds": len(found),
        "volume_error": round(float(error), 4),
        "worst_world": round(float(found[:, 0].max()), 4),
        "value_share": round(float(value), 4),
        "fixed_volume_error": round(float(fixed_error), 4),
        "fixed_value_share": round(float(fixed_value), 4),
        "met": bool(error <= MOST_ERROR and value >= LEAST_VALUE),
    }


def _days(seed: int) -> tuple[float, float, float, float]:
    """Return both mean relative errors of daily volume and both shares of the value of the day's best."""
    rng = np.random.default_rng(seed)
    shares = np.repeat(np.array(POPULATION_PROFILE[:24]), STEPS_AN_HOUR)
    shares = shares / shares.sum()
    target = SENT_SHARE * CANDIDATES
    before = _values(rng, CANDIDATES, 0.0)
    kept = pacing.first_price(before, target)
    ours, theirs, level = [], [], 0.0
    for _ in range(DAYS):
        level += rng.normal(0, 0.1)
        count = rng.poisson(CANDIDATES * np.exp(rng.normal(0, 0.2)) * shares * np.exp(rng.normal(0, 0.1, len(shares))))
        values = _values(rng, int(count.sum()), level)
        best = float(np.sort(values)[-int(target) :].sum())
        ours.append(_day(values, count, shares, before, target, best))
        sent = values > kept
        theirs.append((abs(float(sent.sum()) / target - 1), float(values[sent].sum()) / best))
        before = values
    return (*np.mean(ours, axis=0), *np.mean(theirs, axis=0))


def _values(rng: np.random.Generator, count: int, level: float) -> Floats:
    return rng.lognormal(-3 + level, 0.8, count)


def _day(values: Floats, count: Any, shares: Floats, before: Floats, target: float, best: float) -> tuple[float, float]:
    state = Pace(pacing.first_price(before, target), float(before.std()))
    left, worth, start = target, 0.0, 0
    for step, many in enumerate(count):
        now, start = values[start : start + many], start + many
        goal = pacing.planned(left, shares, step)
        # The day's volume is also a hard limit, as it is in serving.
        sent = now[now > state.price][: int(left)]
        left, worth = left - len(sent), worth + float(sent.sum())
        state = state.after(len(sent), goal)
    return abs((target - left) / target - 1), worth / best
