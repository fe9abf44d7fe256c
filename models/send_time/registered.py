"""The registered model of hours: its files, and a scorer that says how active somebody is at an hour."""

import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models.send_time import score
from models.send_time.spec import HOURS_OF_WEEK, Archetypes, Floats

NAME = "send_time"
FILE = "parameters.json"
_HOUR = "hour_of_week"


def to_files(found: Archetypes) -> dict[str, bytes]:
    """Return archetypes as the files of a registered version: plain JSON."""
    told = {
        "profiles": found.profiles.tolist(),
        "shares": found.shares.tolist(),
        "kappa": found.kappa,
        "temper": found.temper,
    }
    return {FILE: json.dumps(told, sort_keys=True).encode()}


def from_files(files: Mapping[str, bytes]) -> Archetypes:
    """Read a registered version.

    Raises:
        ValueError: the file is missing or holds no archetypes.
    """
    try:
        told = json.loads(files[FILE])
        profiles, shares = np.array(told["profiles"], dtype=np.float64), np.array(told["shares"], dtype=np.float64)
        return Archetypes(profiles, shares, float(told["kappa"]), float(told["temper"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{FILE}: expected profiles, shares, kappa and temper") from error


class Scorer:
    """Scores rows of a recipient's decayed counts and the hour that is asked about."""

    features = (*(f"hour_{hour}" for hour in range(HOURS_OF_WEEK)), _HOUR)

    def __init__(self, archetypes: Archetypes) -> None:
        self.archetypes = archetypes

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Scorer":
        """Read a registered version; raises as ``from_files`` of this module."""
        return cls(from_files(files))

    def score(self, matrix: npt.NDArray[np.floating]) -> Floats:
        """Return activity at the hour asked about, 1 is the week's mean, shape (n,).

        Args:
            matrix: shape (n, 169) in the order of ``features``.
        """
        rows = np.asarray(matrix, dtype=np.float64)
        made = score.activity(rows[:, :HOURS_OF_WEEK], self.archetypes)
        return np.asarray(made[np.arange(len(rows)), rows[:, HOURS_OF_WEEK].astype(np.int64)])
