"""The activity of many recipients at every hour of the week, from their sessions and from people alike.

    rate(h) = (168 s(h) + kappa sum_k w_k m_k(h)) / (n + kappa),    w_k ~ pi_k exp(temper sum_h n(h) log m_k(h))

with n(h) decayed counts, s the same smoothed by a circular kernel within weekdays and within weekends, m_k the
archetypes. Who has no sessions gets the mean of the archetypes; without archetypes that is the population's profile.
"""

from functools import cache

import numpy as np

from models.send_time.spec import (
    HOURS_OF_DAY,
    HOURS_OF_WEEK,
    KERNEL_SD_HOURS,
    POPULATION,
    WEEKDAYS,
    Archetypes,
    Floats,
)

_DAYS = HOURS_OF_WEEK // HOURS_OF_DAY


def log_activity(counts: Floats, archetypes: Archetypes = POPULATION) -> Floats:
    """Return the log of each recipient's activity, shape (n, 168).

    Args:
        counts: decayed sessions by hour of the week, shape (n, 168), at least 0.
        archetypes: what people alike are like.

    Raises:
        ValueError: the counts have another shape, or one is negative or no number.
    """
    return np.asarray(np.log(activity(counts, archetypes)))


def activity(counts: Floats, archetypes: Archetypes = POPULATION) -> Floats:
    """Return each recipient's activity, rows of mean 1 and no zero, shape (n, 168); as ``log_activity``."""
    checked = _checked(counts)
    total = checked.sum(axis=1, keepdims=True)
    pooled = weights(checked, archetypes) @ archetypes.profiles
    return np.asarray((HOURS_OF_WEEK * smoothed(checked) + archetypes.kappa * pooled) / (total + archetypes.kappa))


def weights(counts: Floats, archetypes: Archetypes) -> Floats:
    """Return how much each recipient is like each archetype, rows of sum 1, shape (n, K)."""
    logs = np.log(archetypes.shares) + archetypes.temper * counts @ np.log(archetypes.profiles).T
    likely = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(likely / likely.sum(axis=1, keepdims=True))


def smoothed(counts: Floats) -> Floats:
    """Return counts spread over near hours of the day, and alike over weekdays and over weekends; sums stay."""
    by_day = counts.reshape(-1, _DAYS, HOURS_OF_DAY)
    made = np.empty_like(by_day)
    for days in (slice(0, WEEKDAYS), slice(WEEKDAYS, _DAYS)):
        together = by_day[:, days].mean(axis=1) @ _kernel()
        made[:, days] = together[:, None, :]
    return made.reshape(counts.shape)


def slot_probabilities(
    log_rates: Floats, allowed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], *, weight: float,
    temperature: float, floor: float,
) -> Floats:  # fmt: skip
    """Return with which probability each slot is drawn: a softmax of the log-odds of an open, with a floor.

    Args:
        log_rates: log activity at each slot, shape (n, S).
        allowed: which slots are possible, shape (n, S), at least one in each row.
        weight: of log activity in the log-odds of an open, at least 0.
        temperature: of the softmax, above 0.
        floor: probability that is spread evenly over the possible slots, in [0, 1].

    Raises:
        ValueError: a row has no possible slot.
    """
    if not allowed.any(axis=1).all():
        raise ValueError("allowed: expected at least one slot in each row")
    odds = np.where(allowed, weight * log_rates / temperature, -np.inf)
    spread = np.exp(odds - odds.max(axis=1, keepdims=True))
    spread /= spread.sum(axis=1, keepdims=True)
    return np.asarray((1 - floor) * spread + floor * allowed / allowed.sum(axis=1, keepdims=True))


@cache
def _kernel() -> Floats:
    """Return the weights from one hour of the day to another, shape (24, 24), rows of sum 1."""
    apart = np.abs(np.arange(HOURS_OF_DAY)[:, None] - np.arange(HOURS_OF_DAY)[None, :])
    circular = np.minimum(apart, HOURS_OF_DAY - apart)
    near = np.exp(-0.5 * (circular / KERNEL_SD_HOURS) ** 2)
    return np.asarray(near / near.sum(axis=1, keepdims=True))


def _checked(counts: Floats) -> Floats:
    given = np.asarray(counts, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != HOURS_OF_WEEK:  # noqa: PLR2004
        raise ValueError(f"counts: expected shape (n, {HOURS_OF_WEEK}), got {given.shape}")
    if not (np.isfinite(given).all() and (given >= 0).all()):
        raise ValueError("counts: expected finite values, at least 0")
    return given
