"""The registered model of leaving: its files, and a scorer of the chance that a message makes somebody leave."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from models.opt_out.score import chance
from models.opt_out.spec import CHANNELS
from models.opt_out.train import Hazard
from models.ridge import Floats

NAME = "opt_out"
FILE = "parameters.json"


def to_files(found: Hazard) -> dict[str, bytes]:
    """Return a hazard as the files of a registered version: plain JSON."""
    told = {
        "log_odds": dict(zip(CHANNELS, found.coefficients[:-1].tolist(), strict=True)),
        "on_weariness": float(found.coefficients[-1]),
        "left": found.left,
        "is_learnt": found.is_learnt,
    }
    return {FILE: json.dumps(told, sort_keys=True).encode()}


def from_files(files: Mapping[str, bytes]) -> Hazard:
    """Read a registered version.

    Raises:
        ValueError: the file is missing, a channel has no finite log-odds, or weariness keeps people.
    """
    try:
        told = json.loads(files[FILE])
        coefficients = np.array([*(float(told["log_odds"][name]) for name in CHANNELS), float(told["on_weariness"])])
        found = Hazard(coefficients, int(told["left"]), is_learnt=bool(told["is_learnt"]))
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{FILE}: expected log_odds of {', '.join(CHANNELS)}, on_weariness, left, is_learnt"
        ) from error
    if not (np.isfinite(coefficients).all() and coefficients[-1] >= 0):
        raise ValueError(f"{FILE}: expected finite log_odds and on_weariness of at least 0")
    return found


class Scorer:
    """Scores rows of a channel and a weariness."""

    features: Sequence[str] = ("channel", "weariness")

    def __init__(self, hazard: Hazard) -> None:
        self.hazard = hazard

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Scorer":
        """Read a registered version; raises as ``from_files`` of this module."""
        return cls(from_files(files))

    def score(self, matrix: npt.NDArray[np.floating]) -> Floats:
        """Return the chance that one message makes its recipient leave the channel, shape (n,).

        Args:
            matrix: the place of the channel in ``CHANNELS``, and weariness, at least 0, shape (n, 2).
        """
        rows = np.asarray(matrix, dtype=np.float64)
        return chance(rows[:, 0].astype(np.int64), rows[:, 1], self.hazard)
