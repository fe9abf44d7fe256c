"""The constants of both detectors."""

from typing import Final

FALSE_SHARE: Final = 0.01
"""Expected share of false ones among recipients that are reported (Benjamini and Hochberg)."""
PRIOR_DAYS: Final = 7.0
"""Days of everybody's rate that stand beside a recipient's own."""
LEAST_DAYS: Final = 7
"""Of a tenant's events before the day, to tell a recipient's day from the ordinary."""

LEAST_WEEKS: Final = 4
"""Of a tenant's hours, to know its week."""
MAD_TO_SD: Final = 1.4826
"""Of a normal distribution."""
SLACK: Final = 0.5
LIMIT: Final = 8.0
"""Of the two-sided CUSUM, in standard deviations: what is let pass each hour, and the sum at which the alarm sounds.

At the textbook's 5 an ordinary tenant would alarm every three weeks of hours, at 8 about once a year.
"""
MOST_RESIDUAL: Final = 3.0
"""One wild hour counts no more: the alarm is for what lasts."""
