"""The registered model of channels: its files, and a scorer that says how likely a message is answered."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from models.channel_value.score import Floats, Rates, shrunk
from models.channel_value.spec import CHANNELS

NAME = "channel_value"
FILE = "parameters.json"


def to_files(found: Rates) -> dict[str, bytes]:
    """Return rates by channel as the files of a registered version: plain JSON."""
    told = {
        name: {
            "rate": float(found.rate[place]),
            "strength": float(found.strength[place]),
            "fitted": found.fitted[place],
        }
        for place, name in enumerate(CHANNELS)
    }
    return {FILE: json.dumps(told, sort_keys=True).encode()}


def from_files(files: Mapping[str, bytes]) -> Rates:
    """Read a registered version.

    Raises:
        ValueError: the file is missing, or a channel has no rate in (0, 1) or no strength above 0.
    """
    try:
        told = [json.loads(files[FILE])[name] for name in CHANNELS]
        rate, strength = (np.array([float(each[name]) for each in told]) for name in ("rate", "strength"))
        fitted = tuple(bool(each["fitted"]) for each in told)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{FILE}: expected rate, strength and fitted of {', '.join(CHANNELS)}") from error
    if not ((rate > 0) & (rate < 1) & (strength > 0) & np.isfinite(strength)).all():
        raise ValueError(f"{FILE}: expected rates between 0 and 1 and strengths above 0")
    return Rates(rate, strength, fitted)


class Scorer:
    """Scores rows of what a recipient was sent and answered on a channel."""

    features: Sequence[str] = ("answered", "sent", "channel")

    def __init__(self, rates: Rates) -> None:
        self.rates = rates

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Scorer":
        """Read a registered version; raises as ``from_files`` of this module."""
        return cls(from_files(files))

    def score(self, matrix: npt.NDArray[np.floating]) -> Floats:
        """Return the chance that the next message is answered, shape (n,).

        Args:
            matrix: decayed messages answered, decayed messages sent, and the place of the channel in ``CHANNELS``,
                shape (n, 3).
        """
        rows = np.asarray(matrix, dtype=np.float64)
        place = rows[:, 2].astype(np.int64)
        return shrunk(rows[:, 0], rows[:, 1], self.rates.rate[place], self.rates.strength[place])
