"""Is a model that serves still right? Observed over expected, and a cumulative sum over outcomes in their order.

The cumulative sum is that of Steiner et al. (2000), adjusted for each row's own chance: it adds up log-likelihood
ratios of odds multiplied by R against odds as predicted, never falling below 0. Its mean number of rows to a false
alarm is at least exp(h) (Lorden 1971), so h = ln 10,000 is one false alarm in 10,000 outcomes or fewer.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.promotion.rows import LEAST_POSITIVES, LEAST_ROWS, Scored, Told, observed_expected

Floats = npt.NDArray[np.float64]

BAND = (0.7, 1.4)
"""Observed over expected outside of which a model is wrong, when its whole interval lies there."""
ALPHA = 0.01
"""A watch looks every hour, so its interval is wider than a report's."""
ODDS = 2.0
"""The cumulative sums look for odds that are half or twice those predicted."""
THRESHOLD = math.log(10_000)


@dataclass(frozen=True)
class Watched:
    """What a watch saw; ``alarms`` is empty while nothing is wrong or nobody can tell."""

    n: int
    positives: int
    observed_expected: Told | None
    cusum_low: Floats
    cusum_high: Floats
    alarms: tuple[str, ...]


def watch(rows: Scored, *, odds: float = ODDS, threshold: float = THRESHOLD) -> Watched:
    """Watch outcomes in the order of their decisions.

    Args:
        rows: final outcomes of one model version, the oldest first.
        odds: R above 1; both R and 1/R are looked for.
        threshold: a sum above it is an alarm.
    """
    low, high = cusum(rows, 1 / odds), cusum(rows, odds)
    expected = float(rows.p.sum())
    # Nothing may have happened where much was expected: it is the expectation that must be large enough.
    can_tell = len(rows) >= LEAST_ROWS and expected >= LEAST_POSITIVES
    told = observed_expected(rows, alpha=ALPHA) if can_tell else None
    alarms = []
    if told is not None and told.misses(*BAND):
        alarms.append(
            f"observed over expected is {told.value:.2f}, interval {told.low:.2f} to {told.high:.2f}, over {len(rows)}"
            f" decisions: outside of {BAND[0]} to {BAND[1]}"
        )
    for sums, word in ((low, "fewer"), (high, "more")):
        if can_tell and len(sums) and sums.max() > threshold:
            first = int((sums > threshold).argmax()) + 1
            alarms.append(
                f"the cumulative sum for {word} conversions than predicted passed {threshold:.2f} at decision {first}"
                f" of {len(rows)} and reached {sums.max():.2f}"
            )
    return Watched(len(rows), int(rows.label.sum()), told, low, high, tuple(alarms))


def cusum(rows: Scored, odds: float) -> Floats:
    """Return the cumulative sum after each row, shape (n,), at least 0."""
    steps = rows.label * math.log(odds) - np.log1p(rows.p * (odds - 1))
    sums = np.cumsum(steps)
    # max(0, S + x) over a stretch is the sum less its lowest point so far.
    lowest = np.minimum.accumulate(np.concatenate([[0.0], sums]))[1:]
    return np.asarray(sums - lowest, dtype=np.float64)
