"""Recipients whose day is too full for them, and tenants whose hours left their week.

Recipient: counts | rate ~ Poisson, rate ~ Gamma, so a new day is negative binomial given the days before; the tail
probability is exact, and among many recipients the share of false reports is held down.
Tenant: residuals from the median of each hour of the week, in units of their median absolute deviation, and a CUSUM.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

from models.anomaly.spec import FALSE_SHARE, LEAST_WEEKS, LIMIT, MAD_TO_SD, MOST_RESIDUAL, PRIOR_DAYS, SLACK

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]
_HOURS = 168


class NotEnoughData(ValueError):
    """There is too little history to say what is ordinary; says how much is needed."""


def tail(today: Floats, before: Floats, days: Floats, everybody: float) -> Floats:
    """Return the chance of a count of today's or more, given a recipient's own days before, shape (n,).

    Args:
        today: events of the day, whole, at least 0, shape (n,).
        before: events of the days before, shape (n,).
        days: how many these were, at least 0, shape (n,).
        everybody: events a day of an average recipient, above 0.

    Raises:
        ValueError: a number is negative, or the rate is not above 0.
    """
    if not everybody > 0:
        raise ValueError("everybody: expected above 0")
    for name, given in (("today", today), ("before", before), ("days", days)):
        if not (np.isfinite(given).all() and (given >= 0).all()):
            raise ValueError(f"{name}: expected finite values, at least 0")
    shape, rate = before + PRIOR_DAYS * everybody, days + PRIOR_DAYS
    # P(N >= k) of a negative binomial is an incomplete beta function; of k = 0 it is 1.
    found = betainc(np.maximum(today, 1), shape, 1 / (1 + rate))
    return np.asarray(np.where(today > 0, found, 1.0))


def reported(tails: Floats, *, false_share: float = FALSE_SHARE) -> Booleans:
    """Return which recipients to report, of whom at most ``false_share`` are expected to be ordinary, shape (n,)."""
    count = len(tails)
    if count == 0:
        return np.zeros(0, dtype=bool)
    ordered = np.sort(tails)
    passed = np.flatnonzero(ordered <= false_share * np.arange(1, count + 1) / count)
    return np.asarray(tails <= ordered[passed[-1]]) if len(passed) else np.zeros(count, dtype=bool)


@dataclass(frozen=True)
class Week:
    """A tenant's ordinary week.

    Attributes:
        median: events of each hour of the week, shape (168,).
        spread: standard deviation of the same, robust, above 0, shape (168,).
    """

    median: Floats
    spread: Floats

    @classmethod
    def of(cls, hourly: Floats) -> "Week":
        """Return the ordinary week of hours.

        Args:
            hourly: events of consecutive hours, the first of them Monday 00:00; a last week that is not whole is
                left out.

        Raises:
            NotEnoughData: fewer than four weeks.
        """
        weeks = len(hourly) // _HOURS
        if weeks < LEAST_WEEKS:
            raise NotEnoughData(f"not enough data: {weeks} whole weeks; at least {LEAST_WEEKS} are needed")
        table = np.asarray(hourly[: weeks * _HOURS], dtype=np.float64).reshape(weeks, _HOURS)
        median = np.median(table, axis=0)
        spread = MAD_TO_SD * np.median(np.abs(table - median), axis=0)
        # Few weeks make a spread of one hour uncertain, and counts scatter at least as Poisson's do.
        pooled = np.sqrt(np.maximum(median, 1.0))
        return cls(median, np.maximum(spread, pooled))

    def residuals(self, hourly: Floats, *, first: int = 0) -> Floats:
        """Return how far hours are from the ordinary, in standard deviations, cut off; ``first`` is their first's."""
        at = (first + np.arange(len(hourly))) % _HOURS
        return np.clip((hourly - self.median[at]) / self.spread[at], -MOST_RESIDUAL, MOST_RESIDUAL)


def left_its_week(residuals: Floats) -> int | None:
    """Return the hour, from 0, at which a two-sided CUSUM sounds the alarm first; None where it does not."""
    sums = [_path(sign * residuals - SLACK) for sign in (1.0, -1.0)]
    over = np.flatnonzero(np.maximum(*sums) >= LIMIT)
    return int(over[0]) if len(over) else None


def alarms(residuals: Floats) -> tuple[int, ...]:
    """Return every hour, from 0, at which the alarm sounds, where both sums start anew after each."""
    found: list[int] = []
    while (hour := left_its_week(residuals[(start := found[-1] + 1 if found else 0) :])) is not None:
        found.append(start + hour)
    return tuple(found)


def _path(steps: Floats) -> Floats:
    walk = np.cumsum(steps)
    return np.asarray(walk - np.minimum(np.minimum.accumulate(walk), 0.0))
