"""A price that spends a volume evenly over a day: it rises where more was sent than planned, and falls where less.

    planned_h = what is left of the day's volume, by the expected share of this step among those that are left
    price <- max(0, price + scale (P (e_h - e_h-1) + I e_h)),    e_h = sent_h / planned_h - 1

The plan catches up with itself, so an error of the morning is not carried through the day.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models.volume.spec import INTEGRAL, MOST_ERROR, PROPORTIONAL

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pace:
    """One price for one channel of one tenant; kept between steps.

    Attributes:
        price: what a message must be worth at least, at least 0, in the unit of its value.
        scale: standard deviation of messages' values, above 0; errors of volume become value by it.
        error: relative, of the last step.
    """

    price: float
    scale: float
    error: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: names what is wrong.
        """
        if not self.price >= 0:
            raise ValueError("price: expected at least 0")
        if not self.scale > 0:
            raise ValueError("scale: expected above 0")

    def after(self, sent: float, planned: float) -> "Pace":
        """Return the pace after a step in which ``sent`` messages went out instead of ``planned``.

        A step without a plan changes nothing.

        Raises:
            ValueError: a number is negative.
        """
        if sent < 0 or planned < 0:
            raise ValueError("sent and planned: expected at least 0")
        if planned == 0:
            return self
        error = min(sent / planned - 1, MOST_ERROR)
        change = self.scale * (PROPORTIONAL * (error - self.error) + INTEGRAL * error)
        return replace(self, price=max(0.0, self.price + change), error=error)


def planned(left: float, shares: Floats, step: int) -> float:
    """Return how many messages a step should send.

    Args:
        left: of the day's volume; what was sent beyond it counts as none.
        shares: expected share of each step of the day in what may be sent, at least 0, shape (S,).
        step: 0 to S - 1.
    """
    rest = float(shares[step:].sum())
    return max(left, 0.0) * float(shares[step]) / rest if rest > 0 else 0.0


def first_price(values: Floats, total: float) -> float:
    """Return the price under which the values of a day before would have sent ``total`` messages, at least 0."""
    if len(values) <= total:
        return 0.0
    return max(0.0, float(np.quantile(values, 1 - total / len(values))))
