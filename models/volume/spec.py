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

SEGMENTS: Final = 3
"""Groups by mean weekly activity, of equal size."""
PRIOR_WEEKS: Final = 50.0
"""Weeks that a segment's mean counts for at each number of messages."""
PRIOR_LEAVE: Final = 0.0015
"""Chance of leaving by one message before anybody left."""
PRIOR_LEAVE_WEEKS: Final = 500.0
"""Weeks that it counts for."""
FEWEST_WEEKS: Final = 1000
"""With a message, to fit utilities."""
FEWEST_LEVELS: Final = 3
WEEKS_OF_A_LEVEL: Final = 50
"""Numbers of messages that were sent in so many weeks each, 0 included."""
LOOKBACK_WEEKS: Final = 12
