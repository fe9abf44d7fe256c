"""The bars of off-policy evaluation: estimators (B3), their intervals (B4), and the log they rest on (B17).

B3 asks obp itself about 10,000 rows, and the values it gave for 40 rows that the tests keep. B4 asks obp's bootstrap
about the same logs as our intervals. B17 shows that its own test can fail: a bonus that is added to scores at random
and not logged, a tenth of the time, is found by the mean weight.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peers, propensity
from domain import policy as stages
from models.off_policy import estimators
from models.off_policy.estimators import Estimate
from models.off_policy.intervals import fixed

PEER_VALUES = Path(__file__).parents[1] / "tests/unit/models/off_policy/peer_values.json"
SEED = 100
LOGS, ROWS = 2000, 3000
PEER_BOOTSTRAPS = 200
PEER_ROWS, ARMS, THRESHOLD = 10_000, 5, 2.0
LARGEST_DIFFERENCE = 1e-12
LEAST_COVERAGE, MOST_COVERAGE = 0.945, 0.96
BONUS, BONUS_SHARE = 0.2, 0.1


def equality_with_obp() -> dict[str, Any]:
    """Return the largest difference of six estimators from the peer's values (B3)."""
    kept = json.loads(PEER_VALUES.read_text())
    rows = {name: np.array(values) for name, values in kept["rows"].items()}
    of_kept = _largest(_values(rows, kept["switch_threshold"]), kept["values"])
    drawn = _a_log()

    def now() -> dict[str, Any]:
        told = peers.ask(peers.OBP, "obp_estimators.py", threshold=THRESHOLD, **drawn)
        return {"rows": PEER_ROWS, "max_abs_difference": _largest(_values(drawn, THRESHOLD), told)}

    beside = peers.beside(peers.OBP, now)
    largest = max(of_kept, beside.get("max_abs_difference", 0.0))
    return {
        **beside,
        "of_kept_values": of_kept,
        "estimators": len(kept["values"]),
        "met": largest <= LARGEST_DIFFERENCE,
    }


def _a_log() -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    logged, policy = (rng.dirichlet(np.ones(ARMS), PEER_ROWS) for _ in range(2))
    action = (rng.random((PEER_ROWS, 1)) > np.cumsum(logged, axis=1)).sum(axis=1).clip(0, ARMS - 1)
    rates = rng.uniform(0.02, 0.2, (PEER_ROWS, ARMS))
    everybody = np.arange(PEER_ROWS)
    return {
        "policy": policy,
        "model": np.clip(rates * rng.uniform(0.5, 1.5, rates.shape), 0, 1),
        "action": action,
        "probability": logged[everybody, action],
        "reward": (rng.random(PEER_ROWS) < rates[everybody, action]).astype(np.float64),
    }


def _values(rows: dict[str, Any], threshold: float) -> dict[str, float]:
    weight = estimators.weights(rows["policy"], rows["action"], rows["probability"])
    parts = (rows["policy"], rows["model"], rows["action"], weight, rows["reward"])
    found = {
        "ips": estimators.ips(weight, rows["reward"]),
        "snips": estimators.snips(weight, rows["reward"]),
        "dm": estimators.direct(rows["policy"], rows["model"]),
        "dr": estimators.doubly_robust(*parts),
        "sndr": estimators.self_normalised_doubly_robust(*parts),
        "switch_dr": estimators.switch_doubly_robust(*parts, threshold),
    }
    return {name: each.value for name, each in found.items()}


def _largest(ours: dict[str, float], theirs: dict[str, float]) -> float:
    return max(abs(ours[name] - value) for name, value in theirs.items())


def coverage() -> dict[str, Any]:
    """Return how often the intervals of IPS and DR hold the truth, beside obp's bootstrap of IPS (B4)."""
    rng = np.random.default_rng(SEED)
    logged, judged = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.2, 0.7])
    rates = np.array([0.05, 0.07, 0.09])
    truth, held = float(judged @ rates), {"ips": 0, "dr": 0}
    policy, model = np.tile(judged, (ROWS, 1)), np.tile(rates * 1.2, (ROWS, 1))
    units, samples = np.arange(ROWS), np.empty((LOGS, ROWS))
    for log in range(LOGS):
        action = rng.choice(3, ROWS, p=logged)
        reward = (rng.random(ROWS) < rates[action]).astype(np.float64)
        weight = estimators.weights(policy, action, logged[action])
        samples[log] = weight * reward
        found = {
            "ips": estimators.ips(weight, reward),
            "dr": estimators.doubly_robust(policy, model, action, weight, reward),
        }
        for name, estimate in found.items():
            interval = fixed(estimate, units)
            held[name] += bool(interval.low is not None and interval.low <= truth <= (interval.high or 0.0))
    shares = {name: count / LOGS for name, count in held.items()}
    given = {"samples": samples, "truth": truth, "bootstraps": PEER_BOOTSTRAPS}
    beside = peers.beside(peers.OBP, lambda: {"peer_ips": peers.ask(peers.OBP, "obp_estimators.py", **given)["ips"]})
    met = all(LEAST_COVERAGE <= share <= MOST_COVERAGE for share in shares.values())
    return {"logs": LOGS, **beside, **shares, "met": met}


def self_test() -> dict[str, Any]:
    """Return the self-test of logged probabilities, and that an unlogged bonus fails it (B17)."""
    found = propensity.measure(100_000, seed=SEED)
    holds = found["mean_weight_low"] <= 1 <= found["mean_weight_high"]
    low, high = with_unlogged_bonus(100_000)
    failed = not low <= 1 <= high
    told = {"bonus_mean_weight_low": low, "bonus_mean_weight_high": high, "peer": "an unlogged bonus"}
    return found | told | {"met": holds and found["replay_mismatches"] == 0 and failed}


def with_unlogged_bonus(decisions: int) -> tuple[float, float]:
    """Return the mean weight's interval where scores get a bonus at random and the log tells of none."""
    rng = np.random.default_rng(SEED)
    scores = rng.beta(1.5, 30, (decisions, ARMS))
    bonus = rng.uniform(0, BONUS, scores.shape) * (rng.random(scores.shape) < BONUS_SHARE)
    weight = np.empty(decisions)
    for row in range(decisions):
        logged, drawn = (
            np.array(stages.epsilon_softmax(list(values), epsilon=0.1, temperature=0.02))
            for values in (scores[row], scores[row] + bonus[row])
        )
        taken = rng.choice(ARMS, p=drawn / drawn.sum())
        weight[row] = 1 / (ARMS * logged[taken])
    mean = float(weight.mean())
    interval = fixed(Estimate(mean, weight - mean), np.arange(decisions), propensity.SELF_TEST_ALPHA)
    if interval.low is None or interval.high is None:
        raise RuntimeError("too few decisions for an interval")
    return interval.low, interval.high
