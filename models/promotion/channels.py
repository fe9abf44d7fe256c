"""Calibration of each channel by itself: a model that is right on the whole may be wrong everywhere."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from models.promotion.finding import Claim, Finding, unknown
from models.promotion.rows import LEAST_POSITIVES, LEAST_ROWS, Scored, Told, observed_expected, slope

SLOPE = (0.8, 1.25)
OBSERVED_EXPECTED = (0.8, 1.25)
"""Bands that the interval of a channel must touch: deviations that chance explains count against nobody."""


def findings(rows: Scored, channel: npt.NDArray[np.str_]) -> Iterator[Finding]:
    """Hold slope and observed over expected of each channel against their bands; a channel of few rows is told."""
    for name in np.unique(channel):
        group = rows.take(channel == name)
        if not group.can_be_judged:
            why = (
                f"{len(group)} rows with {int(group.label.sum())} conversions; {LEAST_ROWS} rows and {LEAST_POSITIVES}"
                " of either kind are needed"
            )
            yield unknown(Claim.CALIBRATED_PER_CHANNEL, f"calibration.{name}", why)
            continue
        yield _band(f"calibration.slope.{name}", slope(group), SLOPE)
        yield _band(f"calibration.observed_expected.{name}", observed_expected(group), OBSERVED_EXPECTED)


def _band(condition: str, told: Told, band: tuple[float, float]) -> Finding:
    limit = band[0] if told.value < 1 else band[1]
    sentence = (
        f"{condition} {told.value:.2f}, interval {told.low:.2f} to {told.high:.2f}: must touch {band[0]} to {band[1]}"
    )
    held = not told.misses(*band)
    return Finding(Claim.CALIBRATED_PER_CHANNEL, condition, held, told.value, limit, sentence)
