"""What people do on a day, from the laws and from numbers that chance drew before."""

import numpy as np
import pandas as pd

from models.simulator.chances import Truth
from models.simulator.rhythms import Floats, Integers
from models.simulator.state import Sends

_MEAN_OPEN_DELAY_DAYS = 10 / (24 * 60)
_MEAN_LOG_CENTS, _SD_LOG_CENTS = 8.0, 0.8
_OPENED, _LEFT, _BOUGHT, _DELAYED, _WORTH = range(5)
CHANCES = 5
"""Numbers that one message takes."""

COLUMNS = (
    "day", "person", "channel", "variant", "hour", "probability", "opened", "opted_out", "bought", "delay", "cents",
)  # fmt: skip
"""``hour`` in [0, 24); ``delay`` from message to open, in days; ``cents`` what was bought for; the results 0 or 1."""


def given(truth: Truth, sends: Sends, mood: Floats) -> pd.DataFrame:
    """Return the messages with what comes of them.

    Args:
        truth: the laws.
        sends: m messages, each to a person who agreed, no person twice.
        mood: what is left to chance, uniform in [0, 1), shape (m, CHANCES).

    Returns:
        One row a message, columns ``COLUMNS``.
    """
    parts = (sends.who, sends.channel, sends.variant, sends.hour)
    opened = mood[:, _OPENED] < truth.opens(*parts)
    left = mood[:, _LEFT] < truth.optouts(*parts)
    bought = opened & (mood[:, _BOUGHT] < truth.purchases(sends.who))
    columns = (
        np.full(len(sends), truth.day), *parts, sends.probability,
        opened.astype(np.int64), left.astype(np.int64), bought.astype(np.int64),
        np.where(opened, _delays(truth, sends, mood[:, _DELAYED]), np.nan),
        np.where(bought, _cents(mood[:, _WORTH]), 0).astype(np.int64),
    )  # fmt: skip
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


def _delays(truth: Truth, sends: Sends, uniform: Floats) -> Floats:
    """Return days from message to open: half within minutes, half when the person would have come anyway."""
    soon = uniform < 0.5  # noqa: PLR2004
    rest = np.where(soon, 2 * uniform, 2 * uniform - 1)
    mean = np.where(soon, _MEAN_OPEN_DELAY_DAYS, 1 / np.maximum(truth.population.rate[sends.who], 1.0))
    return np.asarray(-np.log1p(-rest) * mean)


def _cents(uniform: Floats) -> Floats:
    """Return log-normal amounts in cents, median 30 in whole units, at least 1."""
    # Three uniforms would do for a normal; the logistic has nearly its shape and needs one.
    spread = np.log(uniform.clip(1e-9) / (1 - uniform).clip(1e-9)) * np.sqrt(3) / np.pi
    return np.asarray(np.maximum(1.0, np.round(np.exp(_MEAN_LOG_CENTS + _SD_LOG_CENTS * spread))))


def numbers(means: Floats, uniform: Floats) -> Integers:
    """Return Poisson numbers by inversion: a higher mean never gives fewer."""
    count = np.zeros(len(means), dtype=np.int64)
    term = np.exp(-means)
    total, open_rows = term.copy(), np.flatnonzero(uniform >= term)
    while len(open_rows):
        count[open_rows] += 1
        term[open_rows] *= means[open_rows] / count[open_rows]
        total[open_rows] += term[open_rows]
        # Past the mean, where terms no longer change the sum, it has reached what floats can tell from 1.
        goes_on = (term[open_rows] > np.finfo(np.float64).eps / 2) | (count[open_rows] < means[open_rows])
        open_rows = open_rows[(uniform[open_rows] >= total[open_rows]) & goes_on]
    return count
