"""Fits the engagement model: a small, constrained booster and the calibration of what it says.

The same rows, parameters and seed give the same bytes, in whatever order the rows come.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost as xgb

from models.calibration import Calibration, isotonic, platt
from models.engagement import dataset as datasets
from models.engagement import spec
from models.engagement.dataset import Dataset
from models.engagement.score import CALIBRATION_FILE, FEATURES_FILE, MODEL_FILE, FeatureFile, Scorer, margins
from models.engagement.spec import NotEnoughData, Params

__all__ = ["FittedEngagement", "NotEnoughData", "calibration_margins", "fit"]  # read by mypy

Progress = Callable[[int, int], None]
"""Told the boosting rounds done and to do."""

Floats = npt.NDArray[np.float64]

FOLDS = 5
"""Folds of the cross-fit that gives margins to calibrate on, divided by recipient."""

LATER_SHARE = 0.25
"""Share of the training rows, the latest, that calibrate when they hold enough positives."""

ISOTONIC_POSITIVES = 1_000
"""Below so many positives the many pieces of isotonic regression fit noise: it lost to Platt in every trial."""

CANARIES = 8


class NoSuchDevice(RuntimeError):
    """The device that was asked for is not there."""


@dataclass(frozen=True)
class Machine:
    """What a booster is trained on: threads, and ``cpu`` or ``cuda``."""

    nthread: int = 1
    device: str = "cpu"


@dataclass(frozen=True)
class FittedEngagement:
    """A fitted model and everything needed to score with it elsewhere."""

    booster: xgb.Booster
    calibration: Calibration
    vocabularies: Mapping[str, tuple[str, ...]]
    base_rates: Mapping[str, float]
    params: Params
    seed: int
    canary_rows: npt.NDArray[np.float32]
    features: tuple[str, ...] = spec.FEATURES

    @cached_property
    def scorer(self) -> Scorer:
        """The scorer that anybody who gets the files has."""
        return Scorer.from_files(self.to_files())

    def predict(self, matrix: npt.NDArray[np.float32]) -> Floats:
        """Return the probability of each row, exactly as the scorer built from the files does."""
        return self.scorer.score(matrix)

    def importance(self) -> dict[str, float]:
        """Return each feature's share of the total gain, 0 for one that no tree uses."""
        return self.scorer.importance()

    def to_files(self) -> dict[str, bytes]:
        """Return the model as files: plain JSON, no code in any of them."""
        p = self.calibration.apply(margins(self.booster, self.canary_rows))
        told = FeatureFile(
            features=self.features,
            vocabularies=dict(self.vocabularies),
            base_rates=dict(self.base_rates),
            canary_rows=tuple(tuple(_jsonable(value) for value in row) for row in self.canary_rows),
            canary_p=tuple(map(float, p)),
            params={name: float(value) for name, value in asdict(self.params).items()},
            seed=self.seed,
        )
        return {
            MODEL_FILE: bytes(self.booster.save_raw(raw_format="json")),
            CALIBRATION_FILE: self.calibration.to_json(),
            FEATURES_FILE: told.model_dump_json().encode(),
        }


def fit(
    train: Dataset,
    *,
    params: Params = spec.PARAMS,
    seed: int,
    nthread: int = 1,
    device: str = "cpu",
    progress: Progress | None = None,
) -> FittedEngagement:
    """Fit booster and calibration on the rows of one training period.

    Args:
        train: rows whose windows had closed at the cut.
        params: hyper-parameters.
        seed: of the booster's row and column samples.
        nthread: threads; another number may change the last digits.
        device: ``cpu`` or ``cuda``; another one gives another, equally good model.
        progress: called after each boosting round.

    Raises:
        NotEnoughData: too few rows, or too few of either class.
        ValueError: the rows have other features than the model.
        NoSuchDevice: there is no GPU.
    """
    _require(train)
    rows = train.take(_order(train))
    machine = Machine(nthread, device)
    told = _Rounds(progress, total=params.rounds * (FOLDS + 1))
    margin, label = calibration_margins(rows, params=params, seed=seed, machine=machine, told=told)
    booster = _boost(rows, params=params, seed=seed, machine=machine, told=told)
    told.finish()
    return FittedEngagement(
        booster=booster,
        calibration=isotonic(margin, label) if label.sum() >= ISOTONIC_POSITIVES else platt(margin, label),
        vocabularies=rows.vocabularies,
        base_rates=datasets.base_rates(rows.message_type.tolist(), rows.label),
        params=params,
        seed=seed,
        canary_rows=rows.matrix[np.linspace(0, len(rows) - 1, CANARIES).astype(int)],
    )


def calibration_margins(
    rows: Dataset, *, params: Params, seed: int, machine: Machine, told: "_Rounds"
) -> tuple[Floats, npt.NDArray[np.int8]]:
    """Return margins of rows the booster that gave them was not fitted on, and their labels.

    The latest quarter when it and what closed before it hold enough positives for isotonic regression; else every
    row, cross-fitted by recipient.
    """
    boundary = np.sort(rows.decided_at)[int(len(rows) * (1 - LATER_SHARE))]
    later, before = rows.decided_at >= boundary, rows.window_ends_at <= boundary
    if min(rows.label[later].sum(), rows.label[before].sum()) >= ISOTONIC_POSITIVES:
        booster = _boost(rows.take(before), params=params, seed=seed, machine=machine, told=told)
        return margins(booster, rows.matrix[later]), rows.label[later]
    fold = np.array([zlib.crc32(name.encode()) % FOLDS for name in rows.recipient.tolist()])
    margin = np.empty(len(rows), dtype=np.float64)
    for held in range(FOLDS):
        booster = _boost(rows.take(fold != held), params=params, seed=seed, machine=machine, told=told)
        if (fold == held).any():
            margin[fold == held] = margins(booster, rows.matrix[fold == held])
    return margin, rows.label


def _jsonable(value: np.float32) -> float | None:
    return None if np.isnan(value) else float(value)


def _require(train: Dataset) -> None:
    if train.features != spec.FEATURES:
        raise ValueError("train: the rows' features are not the model's, in its order")
    positives = int(train.label.sum())
    for what, have, need in (
        ("training rows", len(train), spec.MIN_ROWS),
        ("training rows with a conversion", positives, spec.MIN_POSITIVES),
        ("training rows without a conversion", len(train) - positives, spec.MIN_POSITIVES),
    ):
        if have < need:
            raise NotEnoughData(what, have=have, need=need)


def _order(rows: Dataset) -> npt.NDArray[np.int64]:
    """Return the order that does not depend on the order the rows came in."""
    content = [zlib.crc32(row.tobytes()) for row in rows.matrix]
    keys = pd.DataFrame(
        {
            "decided_at": rows.decided_at,
            "recipient": rows.recipient,
            "message_type": rows.message_type,
            "label": rows.label,
            "content": content,
        }
    )
    return keys.sort_values(list(keys.columns), kind="stable").index.to_numpy(dtype=np.int64)


def _boost(rows: Dataset, *, params: Params, seed: int, machine: Machine, told: "_Rounds") -> xgb.Booster:
    varies = _varies(rows.matrix)
    share = params.colsample * varies.sum() / len(varies)
    matrix = xgb.DMatrix(rows.matrix, rows.label, feature_names=list(rows.features), nthread=machine.nthread)
    matrix.set_info(feature_weights=varies.astype(np.float32))
    settings = {
        "objective": "binary:logistic",
        "base_score": float(rows.label.mean()),
        "tree_method": "hist",
        "eta": params.learning_rate,
        "max_depth": params.max_depth,
        "min_child_weight": params.min_child_weight,
        "subsample": params.subsample,
        "colsample_bytree": max(share, 1.0 / len(varies)),
        "reg_lambda": params.reg_lambda,
        "monotone_constraints": tuple(spec.MONOTONE.get(name, 0) for name in rows.features),
        "seed": seed,
        "nthread": machine.nthread,
        "device": machine.device,
        "verbosity": 0,
    }
    booster = xgb.train(settings, matrix, params.rounds, callbacks=[told], verbose_eval=False)
    used = json.loads(booster.save_config())["learner"]["generic_param"]["device"]
    # XGBoost falls back to the processor in silence.
    if used.split(":")[0] != machine.device:
        raise NoSuchDevice(f"device {machine.device}: XGBoost finds none and would train on {used}")
    return booster


def _varies(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return which columns hold more than one value, missing counting as one."""
    filled = np.where(np.isnan(matrix), np.float32(-np.finfo(np.float32).max), matrix)
    varies = filled.max(axis=0) > filled.min(axis=0)
    return varies if varies.any() else np.ones_like(varies)


class _Rounds(xgb.callback.TrainingCallback):  # type: ignore[misc] # XGBoost is untyped
    """Counts rounds over all the boosters of one fit."""

    def __init__(self, progress: Progress | None, *, total: int) -> None:
        super().__init__()
        self._progress = progress
        self._total = total
        self._done = 0

    def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: object) -> bool:  # noqa: ARG002
        self._done += 1
        if self._progress is not None:
            self._progress(min(self._done, self._total), self._total)
        return False

    def finish(self) -> None:
        if self._progress is not None:
            self._progress(self._total, self._total)
