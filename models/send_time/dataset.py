"""From sessions to decayed counts by hour of the week."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.send_time.spec import HALF_LIFE_DAYS, HOURS_OF_DAY, HOURS_OF_WEEK, Floats

Integers = npt.NDArray[np.int64]


def counted(recipient: Integers, hour_of_week: Integers, age_days: Floats, *, recipients: int) -> Floats:
    """Return decayed sessions by hour of the week, shape (recipients, 168).

    Only sessions that no message brought belong here: those a message brought tell when it was sent.

    Args:
        recipient: of each of m sessions, 0 to recipients - 1, shape (m,).
        hour_of_week: on the recipient's own clock, Monday 00:00 is 0, shape (m,).
        age_days: since the session, at least 0, shape (m,).
        recipients: how many there are, also those without a session.

    Raises:
        ValueError: names what is out of range and what was expected.
    """
    rules = {
        f"recipient: expected 0 to {recipients - 1}": (recipient >= 0) & (recipient < recipients),
        f"hour_of_week: expected 0 to {HOURS_OF_WEEK - 1}": (hour_of_week >= 0) & (hour_of_week < HOURS_OF_WEEK),
        "age_days: expected at least 0": np.isfinite(age_days) & (age_days >= 0),
    }
    for rule, holds in rules.items():
        if not holds.all():
            raise ValueError(rule)
    weight = np.exp2(-age_days / HALF_LIFE_DAYS)
    flat = np.bincount(recipient * HOURS_OF_WEEK + hour_of_week, weight, minlength=recipients * HOURS_OF_WEEK)
    return flat.astype(np.float64).reshape(recipients, HOURS_OF_WEEK)


def hours_of_week(local: "pd.Series[pd.Timestamp]") -> Integers:
    """Return the hour of the week of local times, 0 to 167, the same length."""
    return np.asarray(local.dt.dayofweek * HOURS_OF_DAY + local.dt.hour, dtype=np.int64)
