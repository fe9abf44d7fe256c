"""The constants of weekly volume and of pacing."""

from typing import Final

MOST_A_WEEK: Final = 7
"""Levels go from 0 to this."""
HORIZON_WEEKS: Final = 12
"""For how long somebody who left stays away, in what leaving costs."""
PROPORTIONAL: Final = 0.10
INTEGRAL: Final = 0.05
"""Gains of the pacing, in standard deviations of the value per unit of relative error of volume."""
MOST_ERROR: Final = 1.0
"""Relative error of a step that counts at most: one wild step must not shut the day."""
MOST_PRICE: Final = 10.0
"""Highest price, in the same standard deviations: hardly any message is worth that much."""
STEPS_A_DAY: Final = 144
"""Steps for which the gains are set."""
MOST_STEPS: Final = 4.0
"""Of these that a longer step counts for at most: of few messages, chance is much of the error."""
