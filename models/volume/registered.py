"""The registered model of weekly volume: its files, and a scorer of what a week with so many messages is worth."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from models.volume.train import LEVELS, Floats, Utilities

NAME = "volume"
FILE = "parameters.json"


def to_files(found: Utilities) -> dict[str, bytes]:
    """Return utilities as the files of a registered version: plain JSON."""
    told = {"bounds": found.bounds.tolist(), "activity": found.activity.tolist(), "leave": found.leave.tolist()}
    return {FILE: json.dumps(told, sort_keys=True).encode()}


def from_files(files: Mapping[str, bytes]) -> Utilities:
    """Read a registered version.

    Raises:
        ValueError: the file is missing, or its numbers do not fit together.
    """
    try:
        told = json.loads(files[FILE])
        bounds, activity, leave = (np.array(told[name], dtype=np.float64) for name in ("bounds", "activity", "leave"))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{FILE}: expected bounds, activity and leave") from error
    if activity.shape != (len(bounds) + 1, LEVELS) or leave.shape != (LEVELS,):
        raise ValueError(f"{FILE}: expected {LEVELS} levels for each of {len(bounds) + 1} segments")
    return Utilities(bounds, activity, leave)


class Scorer:
    """Scores rows of a recipient's mean weekly activity and a number of messages."""

    features: Sequence[str] = ("weekly_activity", "messages")

    def __init__(self, utilities: Utilities) -> None:
        self.utilities = utilities

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Scorer":
        """Read a registered version; raises as ``from_files`` of this module."""
        return cls(from_files(files))

    def score(self, matrix: npt.NDArray[np.floating]) -> Floats:
        """Return what the week is worth, in hours of activity, shape (n,).

        Args:
            matrix: mean hours with activity a week, and messages, 0 to 7, shape (n, 2).
        """
        rows = np.asarray(matrix, dtype=np.float64)
        values = self.utilities.values(self.utilities.segment(rows[:, 0]))
        return np.asarray(values[np.arange(len(rows)), rows[:, 1].astype(np.int64)])
