"""The registered model of behavioural clusters: its files, and a scorer that sorts people."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from models.clusters.dataset import COLUMNS
from models.clusters.score import members
from models.clusters.train import Clusters, Floats, Mixture, Scaling

NAME = "clusters"
FILE = "parameters.json"


def to_files(found: Clusters) -> dict[str, bytes]:
    """Return clusters as the files of a registered version: plain JSON."""
    told = {
        "columns": list(COLUMNS),
        "scaling": {"mean": found.scaling.mean.tolist(), "sd": found.scaling.sd.tolist()},
        "share": found.mixture.share.tolist(),
        "mean": found.mixture.mean.tolist(),
        "variance": found.mixture.variance.tolist(),
        "stability": found.stability,
    }
    return {FILE: json.dumps(told, sort_keys=True).encode()}


def from_files(files: Mapping[str, bytes]) -> Clusters:
    """Read a registered version.

    Raises:
        ValueError: the file is missing, was made of other columns, or its numbers do not fit together.
    """
    try:
        told = json.loads(files[FILE])
        mean, sd = (np.array(told["scaling"][name], dtype=np.float64) for name in ("mean", "sd"))
        mixture = Mixture(*(np.array(told[name], dtype=np.float64) for name in ("share", "mean", "variance")))
        columns, stability = tuple(told["columns"]), float(told["stability"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{FILE}: expected columns, scaling, share, mean, variance and stability") from error
    if columns != COLUMNS:
        raise ValueError(f"columns: expected {', '.join(COLUMNS)}, got {', '.join(columns)}")
    shape = (mixture.share.size, len(COLUMNS))
    if mean.shape != shape[1:] or sd.shape != shape[1:] or {mixture.mean.shape, mixture.variance.shape} != {shape}:
        raise ValueError(f"{FILE}: expected {len(COLUMNS)} numbers for each of {shape[0]} clusters")
    return Clusters(Scaling(mean, sd), mixture, stability)


class Scorer:
    """Sorts rows of activity by part of the week."""

    features: Sequence[str] = COLUMNS

    def __init__(self, clusters: Clusters) -> None:
        self.clusters = clusters

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Scorer":
        """Read a registered version; raises as ``from_files`` of this module."""
        return cls(from_files(files))

    def score(self, matrix: npt.NDArray[np.floating]) -> Floats:
        """Return the cluster of each row, from 0, the largest first, shape (n,)."""
        return members(np.asarray(matrix, dtype=np.float64), self.clusters)[0].astype(np.float64)
