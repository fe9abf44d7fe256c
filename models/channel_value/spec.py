"""The constants of answers by channel, and what is believed before anybody answered."""

from typing import Final

HALF_LIFE_DAYS: Final = 60.0
"""A message of two months ago counts half of one of today."""
PRIOR_STRENGTH: Final = 20.0
"""Messages that the others' answers count for, until it was fitted."""
STRENGTHS: Final = (1.0, 2000.0)
"""Between these a fitted strength stays."""
FEWEST_RECIPIENTS: Final = 100
"""With a message on the channel, to fit its strength."""
DAILY_KEEP: Final = 0.98
HORIZON_DAYS: Final = 1 / (1 - DAILY_KEEP)
"""Days of value that losing a channel costs: 50."""
VALUE_HALF_LIFE_DAYS: Final = 28.0
"""Of the running mean of daily value."""

PRIOR_OPEN: Final[dict[str, float]] = {
    "push": 0.035, "email": 0.018, "sms": 0.060, "in_app": 0.10, "web": 0.05, "voice": 0.06,
}  # fmt: skip
PRIOR_OPT_OUT: Final[dict[str, float]] = {
    "push": 0.0008, "email": 0.0015, "sms": 0.010, "in_app": 0.0001, "web": 0.0003, "voice": 0.010,
}  # fmt: skip
"""Share of messages that are answered, and that make somebody leave: the simulated population's base rates, web and
voice as the channel most like them (docs/simulator.md)."""

CHANNELS: Final = tuple(PRIOR_OPEN)
"""The order of channels in arrays."""
ANSWER_DAYS: Final = 7.0
"""An open, click or conversion after that many days answers no message any more."""
FEWEST_LATER: Final = 200
"""Messages after the cut, to judge rates by."""
