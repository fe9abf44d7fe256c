"""The constants of the activity profile, and what is believed of somebody of whom nothing is known.

Hours of the week count from Monday 00:00 on the recipient's own clock. A profile has mean 1 over the 168 hours.
"""

from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

HOURS_OF_DAY: Final = 24
WEEKDAYS: Final = 5
HOURS_OF_WEEK: Final = 168

HALF_LIFE_DAYS: Final = 28.0
"""A session of four weeks ago counts half of one of today."""
KERNEL_SD_HOURS: Final = 1.5
KAPPA: Final = 30.0
"""Sessions that people alike count for, until it was fitted."""
TEMPER: Final = 0.5
"""Power of a person's own sessions in telling whom they are like, until fitted: they are no independent draws."""
FLOOR: Final = 0.05
"""Least activity of an archetype at any hour, in its mean: nobody is never there."""
ARCHETYPES: Final = 8
FEWEST_SESSIONS: Final = 15
"""Of a person, to shape an archetype."""
FEWEST_PEOPLE: Final = 200
"""With as many sessions, to fit archetypes at all."""
FEWEST_FOR_ONE: Final = 30
"""People with a session, to fit the one week of everybody."""
JUDGED_DAYS: Final = 28.0
"""The last days, which are held out to judge a fit."""
ANSWER_HOURS: Final = 1.0
"""Activity so soon after a message tells when the message was sent."""

_WEEKDAY = (
    0.70, 0.48, 0.31, 0.24, 0.27, 0.46, 0.75, 1.02, 1.13, 1.11, 1.07, 1.05,
    1.05, 1.04, 1.05, 1.16, 1.37, 1.59, 1.70, 1.68, 1.58, 1.42, 1.20, 0.95,
)  # fmt: skip
_WEEKEND = (
    0.82, 0.56, 0.36, 0.25, 0.25, 0.37, 0.58, 0.77, 0.85, 0.84, 0.85, 0.86,
    0.86, 0.86, 0.88, 1.00, 1.23, 1.49, 1.69, 1.78, 1.76, 1.62, 1.39, 1.11,
)  # fmt: skip
_RAW = _WEEKDAY * WEEKDAYS + _WEEKEND * (HOURS_OF_WEEK // HOURS_OF_DAY - WEEKDAYS)
_MEAN = sum(_RAW) / HOURS_OF_WEEK

POPULATION_PROFILE: Final[tuple[float, ...]] = tuple(value / _MEAN for value in _RAW)
"""What is believed of everybody before anything was learnt: the mean of the simulated population (docs/simulator.md).

An evening peak, a broad working day, few in the small hours; a tenant's own archetypes replace it.
"""

POPULATION_LOG_ACTIVITY: Final[tuple[float, ...]] = tuple(log(value) for value in POPULATION_PROFILE)
"""Log of the same: what a slot's log-odds of an open move with."""


@dataclass(frozen=True)
class Archetypes:
    """K ways to spend a week.

    Attributes:
        profiles: activity, each row positive with mean 1, shape (K, 168).
        shares: of people, sum 1, shape (K,).
        kappa: sessions that people alike count for beside a person's own, above 0.
        temper: power of a person's own sessions in telling whom they are like, in (0, 1].
    """

    profiles: Floats
    shares: Floats
    kappa: float = KAPPA
    temper: float = TEMPER

    def __post_init__(self) -> None:
        """Refuse what is no set of profiles.

        Raises:
            ValueError: names what is wrong and what was expected.
        """
        if self.profiles.ndim != 2 or self.profiles.shape[1] != HOURS_OF_WEEK:  # noqa: PLR2004
            raise ValueError(f"profiles: expected shape (K, {HOURS_OF_WEEK}), got {self.profiles.shape}")
        if self.shares.shape != self.profiles.shape[:1]:
            raise ValueError(f"shares: expected {len(self.profiles)} values, one for each archetype")
        rules = {
            "profiles: expected positive finite values": np.isfinite(self.profiles).all() and (self.profiles > 0).all(),
            "profiles: expected rows of mean 1": np.allclose(self.profiles.mean(axis=1), 1.0),
            "shares: expected positive values of sum 1": (self.shares > 0).all() and np.isclose(self.shares.sum(), 1.0),
            "kappa: expected above 0": np.isfinite(self.kappa) and self.kappa > 0,
            "temper: expected above 0, at most 1": 0 < self.temper <= 1,
        }
        for rule, holds in rules.items():
            if not holds:
                raise ValueError(rule)


POPULATION: Final = Archetypes(np.array([POPULATION_PROFILE]), np.ones(1))
"""The one archetype there is before any was fitted."""
