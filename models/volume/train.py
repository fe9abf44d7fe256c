"""What each number of messages a week is worth, by how active people are: from weeks as they were.

    A(s, k) = (sum of activity of weeks with k messages + n0 A(s)) / (weeks + n0),    A(s) of the segment's weeks
    p(k) = (left + n1 (1 - (1 - p0)^k)) / (weeks + n1),    never falling in k
    U(s, k) = [1 - p(k)] A(s, k) + p(k) [A(s, 0) - (H - 1) (max A(s) - A(s, 0))]

Who leaves is without messages for H weeks. Weeks are as senders made them: unless volume was drawn by chance, who is
written to more often may be more active for other reasons.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.volume.score import utility
from models.volume.spec import (
    FEWEST_LEVELS,
    FEWEST_WEEKS,
    HORIZON_WEEKS,
    MOST_A_WEEK,
    PRIOR_LEAVE,
    PRIOR_LEAVE_WEEKS,
    PRIOR_WEEKS,
    SEGMENTS,
    WEEKS_OF_A_LEVEL,
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
LEVELS = MOST_A_WEEK + 1


class NotEnoughData(ValueError):
    """Too few weeks, or all with one number of messages; says how many are needed."""


@dataclass(frozen=True)
class Utilities:
    """What weeks are worth.

    Attributes:
        bounds: of mean weekly activity between segments, rising, shape (S - 1,).
        activity: expected in a week, by segment and messages, shape (S, 8).
        leave: chance of leaving in a week, by messages, in [0, 1], shape (8,).
    """

    bounds: Floats
    activity: Floats
    leave: Floats

    def segment(self, activity: Floats) -> Integers:
        """Return the segment of each recipient by mean weekly activity, 0 to S - 1, shape (n,)."""
        return np.searchsorted(self.bounds, activity, side="right").astype(np.int64)

    def values(self, segment: Integers) -> Floats:
        """Return the utility of each level for each recipient, in hours of activity, shape (n, 8)."""
        idle = self.activity[:, 0]
        away = idle - (HORIZON_WEEKS - 1) * (self.activity.max(axis=1) - idle)
        leave = np.broadcast_to(self.leave, self.activity.shape)
        return np.asarray(utility(leave, self.activity, away)[segment])


def fit(recipient: Integers, sent: Integers, active: Floats, left: Floats) -> Utilities:
    """Return what weeks are worth.

    Args:
        recipient: of each of m weeks, from 0 on, shape (m,).
        sent: messages in the week, at least 0; more than ``MOST_A_WEEK`` count as that, shape (m,).
        active: hours with activity in the week, shape (m,).
        left: 1 where the recipient left in the week, else 0, shape (m,).

    Raises:
        NotEnoughData: fewer than ``FEWEST_WEEKS`` weeks with a message, or fewer than ``FEWEST_LEVELS`` levels with
            ``WEEKS_OF_A_LEVEL`` weeks.
    """
    level = np.minimum(sent, MOST_A_WEEK)
    weeks = np.bincount(level, minlength=LEVELS).astype(np.float64)
    told = int((weeks >= WEEKS_OF_A_LEVEL).sum())
    if weeks[1:].sum() < FEWEST_WEEKS or told < FEWEST_LEVELS:
        raise NotEnoughData(
            f"not enough data: {int(weeks[1:].sum())} weeks with a message, {told} numbers of messages with "
            f"{WEEKS_OF_A_LEVEL} weeks; at least {FEWEST_WEEKS} and {FEWEST_LEVELS} are needed"
        )
    mean = mean_activity(recipient, active)
    bounds = np.quantile(mean, np.arange(1, SEGMENTS) / SEGMENTS)
    segment = np.searchsorted(bounds, mean, side="right")[recipient]
    by_level = [_levels(level[segment == each], active[segment == each]) for each in range(SEGMENTS)]
    prior = 1 - (1 - PRIOR_LEAVE) ** np.arange(LEVELS)
    gone = np.bincount(level, left, minlength=LEVELS)
    leave = np.maximum.accumulate((gone + PRIOR_LEAVE_WEEKS * prior) / (weeks + PRIOR_LEAVE_WEEKS))
    return Utilities(bounds, np.array(by_level), leave)


def mean_activity(recipient: Integers, active: Floats) -> Floats:
    """Return the mean of each recipient's weeks, shape (n,); arguments as ``fit``."""
    weeks = np.bincount(recipient)
    return np.asarray(np.bincount(recipient, active) / np.maximum(weeks, 1))


def _levels(level: Integers, active: Floats) -> Floats:
    """Return one segment's activity by number of messages, drawn to the segment's mean where weeks are few."""
    weeks = np.bincount(level, minlength=LEVELS)
    mean = float(active.mean()) if len(active) else 0.0
    return np.asarray((np.bincount(level, active, minlength=LEVELS) + PRIOR_WEEKS * mean) / (weeks + PRIOR_WEEKS))
