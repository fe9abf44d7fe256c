"""The constants of weariness. Each comes from the simulated population (docs/simulator.md) until it was fitted."""

from dataclasses import dataclass
from math import isfinite
from typing import Final

HALF_LIFE_DAYS: Final = 2.0
IGNORED: Final = 1.1
OPENED: Final = 0.4
"""What one message adds, by what became of it, before its channel's load."""

LOAD: Final[dict[str, float]] = {"push": 1.0, "email": 0.6, "sms": 1.5, "in_app": 0.3, "web": 0.3, "voice": 1.5}
"""How much one message tires, by channel; web and voice are those of the channel most like them."""

ON_OPEN: Final = -0.10
ON_OPT_OUT: Final = 0.15
"""Change of the log-odds per unit of weariness."""

PRIOR_OPENS: Final = 3.0
"""Opens, as many as expected, that the detector has seen of everybody before."""
RATIO: Final = 0.6
"""Weary is who opens less than this share of what is expected of them rested."""
CONFIDENCE: Final = 0.9
"""Least probability of that at which the detector says so."""
WINDOW: Final = 60
"""Messages the detector looks back; older ones tell of another time."""

HALF_LIVES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Days, tried in a fit."""
STRONGEST: Final = -1.0
"""A fitted slope on opens lies between this and 0: messages never rest anybody."""
WEARY: Final = 0.25
"""From this level on a message tells of weariness."""
FEWEST_MESSAGES: Final = 500
"""To somebody so weary, to fit the dynamics."""
FEWEST_ANSWERS: Final = 50
"""Of them."""


@dataclass(frozen=True)
class Dynamics:
    """How weariness comes, goes and tells.

    Attributes:
        half_life_days: above 0.
        on_open: change of the log-odds of an open per unit, at most 0.
        on_opt_out: the same of an opt-out, at least 0.
        fitted: whether the first two were; else they are the prior's.
    """

    half_life_days: float = HALF_LIFE_DAYS
    on_open: float = ON_OPEN
    on_opt_out: float = ON_OPT_OUT
    fitted: bool = False

    def __post_init__(self) -> None:
        """Refuse what is none.

        Raises:
            ValueError: names what is wrong and what was expected.
        """
        rules = {
            "half_life_days: expected above 0": isfinite(self.half_life_days) and self.half_life_days > 0,
            "on_open: expected at most 0": isfinite(self.on_open) and self.on_open <= 0,
            "on_opt_out: expected at least 0": isfinite(self.on_opt_out) and self.on_opt_out >= 0,
        }
        for rule, holds in rules.items():
            if not holds:
                raise ValueError(rule)


PRIOR: Final = Dynamics()
