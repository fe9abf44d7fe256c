"""What is believed of leaving before anybody left. Opt-outs are rare: most tenants see few, so the prior is strong."""

from typing import Final

import numpy as np

from models.channel_value.spec import PRIOR_OPT_OUT
from models.fatigue.spec import HALF_LIFE_DAYS, ON_OPT_OUT

__all__ = ["CHANNELS", "FEWEST_LEFT", "HALF_LIFE_DAYS", "PRIOR_MEAN", "PRIOR_SD"]
"""``HALF_LIFE_DAYS`` is the prior's: of the weariness by which leaving is fitted, and judged when it serves."""

CHANNELS: Final = tuple(PRIOR_OPT_OUT)
"""Order of the channels' intercepts."""
PRIOR_MEAN: Final = np.array([*(np.log(rate / (1 - rate)) for rate in PRIOR_OPT_OUT.values()), ON_OPT_OUT])
"""Log-odds of leaving by channel for somebody rested, and their change per unit of weariness."""
PRIOR_SD: Final = np.array([*(0.7 for _ in PRIOR_OPT_OUT), 0.1])
"""A tenant's rate lies within a factor of four of the prior's, weariness between nothing and twice as much."""
FEWEST_LEFT: Final = 10
"""Opt-outs, for a report to call the hazard learnt."""
