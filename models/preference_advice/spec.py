"""The constants of advice on preferences: how much must be known, and how sure it must be."""

from typing import Final

WINDOW_DAYS: Final = 180
"""Messages older than this are not looked at."""
FEWEST_MESSAGES: Final = 20
"""Messages in the window before anything is suggested at all, and on a channel or of a category before that is."""
FEWEST_WEEKS: Final = 8
"""Weeks with a message before a weekly volume is suggested."""
PRIOR_MESSAGES: Final = 20.0
"""Messages that the recipient's other messages count for, in the chance of one channel, category or volume."""
INTERVAL: Final = 0.90
"""Mass of the posterior inside the interval that is told."""
MUCH_LESS: Final = 0.5
"""Nothing is suggested but where the interval ends below this share of what it is compared with."""
LEAST_GAIN: Final = 0.10
"""Share of the present weekly utility that another volume must add."""
MOST_A_WEEK: Final = 7
"""Volumes above this count as this."""
