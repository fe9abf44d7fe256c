"""What the models know of a customer: how often, how recently, how long; and what they spent."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

LEAST_CUSTOMERS = 100
LEAST_REPEATERS = 30
"""Below, four parameters follow noise: there is no answer."""
_DAY = np.timedelta64(1, "D")


class NotEnoughData(ValueError):
    """There are too few customers, or too few who came back, to tell anything; says how many are needed."""


@dataclass(frozen=True)
class Customers:
    """n customers.

    Attributes:
        frequency: repeat purchases (days with one, the first left out), shape (n,), whole, at least 0.
        recency: time from the first to the last purchase, shape (n,), 0 where there was one only.
        age: time from the first purchase to the end of observation, shape (n,), at least ``recency``.
        spend: mean amount of a repeat purchase, shape (n,); NaN where there was none or it is not known.
    """

    frequency: Floats
    recency: Floats
    age: Floats
    spend: Floats

    def __len__(self) -> int:
        """Number of customers."""
        return len(self.frequency)

    @classmethod
    def of(
        cls,
        frequency: npt.ArrayLike,
        recency: npt.ArrayLike,
        age: npt.ArrayLike,
        spend: npt.ArrayLike | None = None,
    ) -> "Customers":
        """Check and keep the numbers; times in any one unit.

        Raises:
            ValueError: lengths differ, or a number is impossible; names it.
        """
        often, last, old = (np.asarray(each, dtype=np.float64) for each in (frequency, recency, age))
        paid = np.full(len(often), np.nan) if spend is None else np.asarray(spend, dtype=np.float64)
        if not len(often) == len(last) == len(old) == len(paid):
            raise ValueError("frequency, recency, age and spend: expected as many values of each")
        rules = {
            "frequency: expected whole numbers, at least 0": (often >= 0) & (often % 1 == 0),
            "recency: expected 0 to age": (last >= 0) & (last <= old),
            "age: expected finite numbers, at least 0": np.isfinite(old),
            "recency: expected 0 where frequency is 0, above 0 elsewhere": (often > 0) == (last > 0),
            "spend: expected finite numbers above 0, or NaN": np.isnan(paid) | (np.isfinite(paid) & (paid > 0)),
        }
        for rule, holds in rules.items():
            if not bool(np.all(holds)):
                raise ValueError(rule)
        return cls(often, last, old, paid)

    def require_enough(self) -> None:
        """Refuse to answer from too little.

        Raises:
            NotEnoughData: fewer than 100 customers, or fewer than 30 who came back.
        """
        repeaters = int((self.frequency > 0).sum())
        if len(self) < LEAST_CUSTOMERS or repeaters < LEAST_REPEATERS:
            raise NotEnoughData(
                f"not enough data: {len(self)} customers, {repeaters} of them came back;"
                f" at least {LEAST_CUSTOMERS} and {LEAST_REPEATERS} are needed"
            )


def of_purchases(purchases: pd.DataFrame, *, end: pd.Timestamp) -> tuple[pd.Index, Customers]:
    """Summarise purchases by customer; those of one day count as one.

    Args:
        purchases: columns ``recipient_id``, ``at`` (moments) and ``amount`` (above 0; NaN where it is not known).
        end: end of observation; later purchases are left out.

    Returns:
        The customers' ids, and what is known of them in days.
    """
    known = purchases[purchases["at"] < end]
    by_day = (
        known.assign(day=known["at"].dt.floor("D"))
        .groupby(["recipient_id", "day"], sort=True)["amount"]
        .sum(min_count=1)
        .reset_index()
    )
    grouped = by_day.groupby("recipient_id", sort=True)
    first, last, days = grouped["day"].min(), grouped["day"].max(), grouped.size()
    repeats = by_day[by_day["day"] > by_day["recipient_id"].map(first)]
    spend = repeats.groupby("recipient_id")["amount"].mean().reindex(first.index)
    age = (end.floor("D") - first).to_numpy() / _DAY
    recency = (last - first).to_numpy() / _DAY
    return first.index, Customers.of(days.to_numpy() - 1, recency, age, spend.to_numpy())
