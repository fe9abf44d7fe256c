"""Two ways from a belief to probabilities: inverse-gap weighting in closed form, and Thompson sampling by counting.

Both give the vector that is drawn from and logged. An arm that sleeps has probability 0, every other at least
floor / |E|. A vector depends on its own decision only: alone and in a batch it has the same bytes.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from models.arm_draws import BadArms, Booleans, Floats, check, floored

LEAST_DRAWS = 256
"""Fewer draws would make the frequency of a rare arm mostly noise."""

STREAM = "thompson"

_BITS = 52
"""One fewer than a number holds, so that none is rounded to 1, whose normal number is infinite."""


def inverse_gap(values: Floats, eligible: Booleans, *, gap_weight: float, floor: float) -> Floats:
    """Return SquareCB's probabilities: the further an arm is below the best, the rarer it is taken.

        q(a) = 1 / (|E| + G (value_best - value_a)) for each a but the best, which gets the rest; then the floor.

    Args:
        values: expected reward of each arm, shape (n, K).
        eligible: shape (n, K), at least one in each row.
        gap_weight: G >= 0; 0 is uniform, a large one greedy.
        floor: share spread evenly over the eligible arms, in [0, 1].

    Returns:
        Shape (n, K); rows sum to 1.

    Raises:
        BadArms: the tables do not fit together.
    """
    check(values, eligible)
    known = np.where(eligible, values, -np.inf)
    best = known.argmax(axis=1)[:, None]
    gap = np.where(eligible, np.take_along_axis(known, best, axis=1) - known, 0.0)
    chance = np.where(eligible, 1 / (eligible.sum(axis=1, keepdims=True) + gap_weight * gap), 0.0)
    np.put_along_axis(chance, best, 0.0, axis=1)
    np.put_along_axis(chance, best, 1 - chance.sum(axis=1, keepdims=True), axis=1)
    return floored(chance, eligible, floor)


def thompson(
    mean: Floats, covariance: Floats, eligible: Booleans, decision_ids: Sequence[str], *, draws: int, floor: float
) -> Floats:
    """Return how often each arm is the best of the eligible ones in draws from the belief, floored, renormalised.

    Args:
        mean: of each arm's score, shape (n, K).
        covariance: of the arms' scores, shape (n, K, K).
        eligible: shape (n, K), at least one in each row.
        decision_ids: n ids, which key the draws: a replay counts the same.
        draws: at least 256.
        floor: share spread evenly over the eligible arms, in [0, 1].

    Returns:
        Shape (n, K); rows sum to 1. The vector itself is drawn from, so that it is the true probability.

    Raises:
        BadArms: the tables do not fit together, or there are too few draws.
    """
    check(mean, eligible)
    if draws < LEAST_DRAWS:
        raise BadArms(f"draws: expected at least {LEAST_DRAWS}, not {draws}")
    if len(decision_ids) != len(mean):
        raise BadArms(f"decision_ids: expected {len(mean)}, not {len(decision_ids)}")
    arms = mean.shape[1]
    widths, axes = np.linalg.eigh(covariance)
    root = axes * np.sqrt(np.maximum(widths, 0))[:, None, :]
    counts = np.empty(mean.shape)
    for row, decision_id in enumerate(decision_ids):
        score = mean[row] + _normals(decision_id, (draws, arms)) @ root[row].T
        counts[row] = np.bincount(np.where(eligible[row], score, -np.inf).argmax(axis=1), minlength=arms)
    mixed = floored(counts / draws, eligible, floor)
    whole: Floats = mixed / mixed.sum(axis=1, keepdims=True)
    return whole


def _normals(decision_id: str, shape: tuple[int, int]) -> Floats:
    """Return the standard normal numbers that belong to one decision.

    They are made from the raw bits of a counter-based generator, whose stream NumPy promises not to change, rather
    than by its normal numbers, whose algorithm it may.
    """
    key = int.from_bytes(hashlib.sha256(f"{decision_id}|{STREAM}".encode()).digest()[:16], "big")
    bits = np.random.Philox(key=key).random_raw(shape[0] * shape[1])
    uniform = ((bits >> np.uint64(64 - _BITS)).astype(np.float64) + 0.5) / float(1 << _BITS)
    normal: Floats = ndtri(uniform).reshape(shape)
    return normal
