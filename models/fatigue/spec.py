"""The constants of weariness. Each comes from the simulated population (docs/simulator.md) until it was fitted."""

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
