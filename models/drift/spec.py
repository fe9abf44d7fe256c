"""The constants of the alarm."""

from typing import Final

ODDS_RATIO: Final = 1.6
"""The change that is looked for, up or down: smaller ones take longer, larger ones are found sooner anyway."""
THRESHOLD: Final = 6.5
"""Log-likelihood ratio at which the alarm sounds; under no change less than once in 10,000 outcomes (benchmarks)."""
