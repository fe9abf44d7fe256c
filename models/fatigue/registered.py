"""The registered model of weariness: its files, and a scorer of the chance of an open of somebody weary."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import numpy.typing as npt

from models.fatigue.score import Floats, open_chance
from models.fatigue.spec import Dynamics

NAME = "fatigue"
FILE = "parameters.json"


def to_files(found: Dynamics) -> dict[str, bytes]:
    """Return dynamics as the files of a registered version: plain JSON."""
    return {FILE: json.dumps(asdict(found), sort_keys=True).encode()}


def from_files(files: Mapping[str, bytes]) -> Dynamics:
    """Read a registered version.

    Raises:
        ValueError: the file is missing or holds no dynamics.
    """
    try:
        told = json.loads(files[FILE])
        numbers = {name: float(told[name]) for name in ("half_life_days", "on_open", "on_opt_out")}
        return Dynamics(**numbers, fitted=bool(told["fitted"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{FILE}: expected half_life_days, on_open, on_opt_out and fitted") from error


class Scorer:
    """Scores rows of a chance rested and a weariness."""

    features: Sequence[str] = ("rested", "weariness")

    def __init__(self, dynamics: Dynamics) -> None:
        self.dynamics = dynamics

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Scorer":
        """Read a registered version; raises as ``from_files`` of this module."""
        return cls(from_files(files))

    def score(self, matrix: npt.NDArray[np.floating]) -> Floats:
        """Return the chance of an open, shape (n,).

        Args:
            matrix: the chance of somebody rested, in (0, 1), and weariness, at least 0, shape (n, 2).
        """
        rows = np.asarray(matrix, dtype=np.float64)
        return open_chance(rows[:, 0], rows[:, 1], self.dynamics)
