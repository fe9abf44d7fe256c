"""Scores decisions: the calibrated probability of a conversion, one row or many, online and in batch alike.

Built from the files of a bundle and from nothing else. It refuses files that do not belong together, and never
returns a number that is not a probability.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import xgboost as xgb
from pydantic import ValidationError

from domain.values import Frozen
from models.calibration import Calibration

MODEL_FILE, CALIBRATION_FILE, FEATURES_FILE = "model.json", "calibration.json", "features.json"
FILES = (MODEL_FILE, CALIBRATION_FILE, FEATURES_FILE)

FORMAT: Final = 1
"""Version of the files' shape."""

_TOLERANCE = 1e-6
"""How far a canary's probability may lie from the recorded one: another processor adds in another order."""


class BundleRefused(ValueError):
    """The files are not a model this code can score with; the message says which and why."""


class CanaryFailed(RuntimeError):
    """The model does not give the probabilities it gave when it was made."""


class NotAScore(RuntimeError):
    """A row got a result that is no probability, or the rows have not the model's shape."""


@dataclass(frozen=True)
class Canary:
    """Rows and the probabilities the model gave them when it was made."""

    rows: npt.NDArray[np.float32]
    p: npt.NDArray[np.float64]


class FeatureFile(Frozen):
    """What a scorer must know beside the booster; ``null`` in a canary row is a missing value."""

    format: Literal[1] = FORMAT
    features: tuple[str, ...]
    vocabularies: dict[str, tuple[str, ...]]
    base_rates: dict[str, float]
    canary_rows: tuple[tuple[float | None, ...], ...]
    canary_p: tuple[float, ...]
    params: dict[str, float]
    seed: int

    @classmethod
    def read(cls, text: bytes) -> "FeatureFile":
        """Parse the file.

        Raises:
            BundleRefused: it has another shape; the message names the field.
        """
        try:
            told = cls.model_validate_json(text)
        except ValidationError as error:
            fields = sorted({".".join(map(str, problem["loc"])) or "the whole" for problem in error.errors()})
            raise BundleRefused(f"{FEATURES_FILE}: not as expected at {', '.join(fields)}") from error
        if {len(row) for row in told.canary_rows} - {len(told.features)} or len(told.canary_rows) != len(told.canary_p):
            raise BundleRefused(f"{FEATURES_FILE}: canary rows do not fit the features or their probabilities")
        return told

    def canary(self) -> Canary:
        """Return the canary as arrays."""
        rows = np.array(self.canary_rows, dtype=np.float32).reshape(len(self.canary_p), len(self.features))
        return Canary(rows=rows, p=np.array(self.canary_p, dtype=np.float64))


class Scorer:
    """Turns feature rows into probabilities; may be used by many threads at once.

    ``features`` is the order of a row's columns, ``vocabularies`` what codes mean, ``base_rates`` the training
    rate per message type, shrunk, with the overall rate under ``*``.
    """

    def __init__(
        self,
        booster: xgb.Booster,
        calibration: Calibration,
        *,
        features: Sequence[str],
        vocabularies: Mapping[str, Sequence[str]],
        base_rates: Mapping[str, float],
        canary: Canary,
    ) -> None:
        if list(booster.feature_names or ()) != list(features):
            raise BundleRefused(f"{MODEL_FILE}: its features are not those of {FEATURES_FILE}, in that order")
        booster.set_param({"nthread": 1})
        self._booster = booster
        self._calibration = calibration
        self._canary = canary
        self.features = tuple(features)
        self.vocabularies = {name: tuple(values) for name, values in vocabularies.items()}
        self.base_rates = dict(base_rates)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Scorer":
        """Build a scorer from a bundle's files.

        Raises:
            BundleRefused: a file is missing, unreadable, of another format, or does not belong to the others.
        """
        missing = [name for name in FILES if name not in files]
        if missing:
            raise BundleRefused(f"missing files: {', '.join(missing)}")
        told = FeatureFile.read(files[FEATURES_FILE])
        try:
            calibration = Calibration.from_json(files[CALIBRATION_FILE])
        except ValueError as error:
            raise BundleRefused(f"{CALIBRATION_FILE}: {error}") from error
        try:
            booster = xgb.Booster(model_file=bytearray(files[MODEL_FILE]))
        except xgb.core.XGBoostError as error:
            raise BundleRefused(f"{MODEL_FILE}: not an XGBoost model") from error
        return cls(
            booster,
            calibration,
            features=told.features,
            vocabularies=told.vocabularies,
            base_rates=told.base_rates,
            canary=told.canary(),
        )

    @property
    def canary_rows(self) -> npt.NDArray[np.float32]:
        """The rows that ``canary`` asks about."""
        return self._canary.rows

    def importance(self) -> dict[str, float]:
        """Return each feature's share of the total gain, 0 for one that no tree uses."""
        gain = self._booster.get_score(importance_type="total_gain")
        total = sum(gain.values()) or 1.0
        return {name: float(gain.get(name, 0.0)) / total for name in self.features}

    def score(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the probability of each row.

        Args:
            matrix: float32 (rows, features) in the order of ``features``; NaN is missing.

        Raises:
            NotAScore: the shape or type is another, a value is infinite, or a result is no probability.
        """
        if matrix.dtype != np.float32 or matrix.ndim != 2 or matrix.shape[1] != len(self.features):  # noqa: PLR2004
            raise NotAScore(f"expected float32 (n, {len(self.features)}), got {matrix.dtype} {matrix.shape}")
        if np.isinf(matrix).any():
            raise NotAScore("a feature is infinite")
        if len(matrix) == 0:
            return np.empty(0, dtype=np.float64)
        p = self._calibration.apply(margins(self._booster, matrix))
        if not ((p > 0.0) & (p < 1.0)).all():
            raise NotAScore("the model gave something that is no probability")
        return p

    def contributions(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return what each feature adds to the booster's log-odds (TreeSHAP), the last column the rest.

        Args:
            matrix: float32 (rows, features) in the order of ``features``; NaN is missing.

        Returns:
            Shape (rows, features + 1); rows sum to the log-odds before calibration.
        """
        table = xgb.DMatrix(matrix, feature_names=list(self.features), missing=np.nan, nthread=1)
        return np.asarray(self._booster.predict(table, pred_contribs=True), dtype=np.float64)

    def canary(self) -> None:
        """Score the recorded rows again.

        Raises:
            CanaryFailed: there are none, or a probability differs from the recorded one.
        """
        if len(self._canary.rows) == 0:
            raise CanaryFailed("the bundle has no canary rows")
        worst = float(np.abs(self.score(self._canary.rows) - self._canary.p).max())
        if worst > _TOLERANCE:
            raise CanaryFailed(f"a canary row's probability is off by {worst:.2g}")


def margins(booster: xgb.Booster, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the booster's log-odds for each row."""
    raw = booster.inplace_predict(matrix, predict_type="margin", validate_features=False)
    return np.asarray(raw, dtype=np.float64)
