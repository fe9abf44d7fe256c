"""The reward model: expected reward of each action in each context, as data that JSON can hold.

Three of them, from the simplest: the action's mean; a line in the context for each action; boosted trees. Means and
lines of rarely taken actions are drawn towards what all actions share, so that little data says little.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost as xgb

from models.off_policy.encoding import Encoding, encoding_of
from models.off_policy.log import DecisionLog, Floats, Integers, folds

Progress = Callable[[int, int], None]

KINDS = ("mean", "linear", "trees")
"""From the simplest; a later one must earn its place."""

FOLDS = 3
"""Parts of the log; each part is predicted by a model that never saw it."""

SHRINK_MEAN = 20.0
"""Rows of the common mean that every action's own mean is mixed with."""

SHRINK_LINE = 200.0
"""Ridge penalty of an action's line, in rows."""

TREES: Mapping[str, Any] = {
    "tree_method": "hist",
    "max_depth": 3,
    "eta": 0.1,
    "min_child_weight": 20,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "reg_lambda": 10.0,
}
ROUNDS = 60


@dataclass(frozen=True)
class RewardModel:
    """A fitted model.

    Attributes:
        kind: one of KINDS.
        encoding: how context becomes the m columns of a matrix.
        means: shrunk mean reward of each action, shape (K,).
        lines: slope of each action in each column, shape (K, m), zeros unless ``kind`` is ``linear``.
        trees: XGBoost's JSON of what the means leave over, None unless ``kind`` is ``trees``.
        spread: standard error of each action's mean, shape (K,).
    """

    kind: str
    encoding: Encoding
    means: Floats
    lines: Floats
    trees: dict[str, Any] | None
    spread: Floats

    def predict(self, matrix: Floats) -> Floats:
        """Return the expected reward of each action, shape (n, K), for encoded rows of shape (n, m)."""
        predicted: Floats = self.means + matrix @ self.lines.T
        if self.trees is None:
            return predicted
        booster = xgb.Booster({"nthread": 1})
        booster.load_model(bytearray(json.dumps(self.trees).encode()))
        for action in range(len(self.means)):
            predicted[:, action] += booster.predict(xgb.DMatrix(_with_action(matrix, action, self.means), nthread=1))
        return predicted

    def as_json(self) -> dict[str, Any]:
        """Return what :meth:`from_json` reads."""
        return {
            "kind": self.kind,
            "encoding": self.encoding.as_json(),
            "means": self.means.tolist(),
            "lines": self.lines.tolist(),
            "trees": self.trees,
            "spread": self.spread.tolist(),
        }

    @classmethod
    def from_json(cls, made: Mapping[str, Any]) -> "RewardModel":
        """Read what :meth:`as_json` wrote.

        Raises:
            KeyError: a part is missing.
            ValueError: a part is not what it must be, or the sizes do not fit.
        """
        means = np.asarray(made["means"], dtype=np.float64)
        lines = np.asarray(made["lines"], dtype=np.float64).reshape(len(means), -1)
        spread = np.asarray(made["spread"], dtype=np.float64)
        if made["kind"] not in KINDS or spread.shape != means.shape:
            raise ValueError("the reward model's parts do not fit together")
        return cls(made["kind"], Encoding.from_json(made["encoding"]), means, lines, made["trees"], spread)


def fit(log: DecisionLog, kind: str, *, seed: int, encoding: Encoding | None = None) -> RewardModel:
    """Fit a model of the reward to the actions that were taken."""
    encoding = encoding or encoding_of(log.context)
    matrix = encoding.matrix(log.context)
    counts = np.bincount(log.action, minlength=len(log.actions)).astype(np.float64)
    sums = np.bincount(log.action, weights=log.reward, minlength=len(log.actions))
    means = (sums + SHRINK_MEAN * log.reward.mean()) / (counts + SHRINK_MEAN)
    spread = float(log.reward.std()) / np.sqrt(counts + SHRINK_MEAN)
    residual = log.reward - means[log.action]
    lines = np.zeros((len(means), matrix.shape[1]))
    if kind == "linear":
        lines = _lines(matrix, residual, log.action, len(means))
    trees = _trees(matrix, residual, log.action, means, seed) if kind == "trees" else None
    return RewardModel(kind, encoding, means, lines, trees, spread)


def out_of_fold(log: DecisionLog, kind: str, *, seed: int, progress: Progress | None = None) -> Floats:
    """Return predictions of each row by a model that saw none of its recipient's rows, shape (n, K)."""
    encoding = encoding_of(log.context)
    matrix = encoding.matrix(log.context)
    predicted = np.empty((len(log), len(log.actions)))
    part = folds(log.cluster, min(FOLDS, log.clusters), seed)
    for fold in range(FOLDS):
        held = part == fold
        if held.any():
            seen = ~held if (~held).any() else held
            predicted[held] = fit(log.rows(seen), kind, seed=seed, encoding=encoding).predict(matrix[held])
        if progress is not None:
            progress(fold + 1, FOLDS)
    return predicted


def _lines(matrix: Floats, residual: Floats, action: Integers, actions: int) -> Floats:
    shared = _ridge(matrix, residual, SHRINK_LINE)
    lines = np.tile(shared, (actions, 1))
    for index in range(actions):
        taken = action == index
        if taken.any():
            lines[index] += _ridge(matrix[taken], residual[taken] - matrix[taken] @ shared, SHRINK_LINE)
    return lines


def _ridge(matrix: Floats, target: Floats, penalty: float) -> Floats:
    square = matrix.T @ matrix + penalty * np.eye(matrix.shape[1])
    solved: Floats = np.linalg.solve(square, matrix.T @ target).astype(np.float64)
    return solved


def _trees(matrix: Floats, residual: Floats, action: Integers, means: Floats, seed: int) -> dict[str, Any]:
    rows = np.column_stack([matrix, *_action_columns(action, means)])
    settings = {**TREES, "objective": "reg:squarederror", "base_score": 0.0, "nthread": 1, "seed": seed}
    booster = xgb.train(settings, xgb.DMatrix(rows, residual, nthread=1), ROUNDS, verbose_eval=False)
    made: dict[str, Any] = json.loads(booster.save_raw("json").decode())
    return made


_OWN_COLUMN = 20
"""Up to so many actions get a column each; more are told apart by their mean reward alone."""


def _action_columns(action: Integers, means: Floats) -> list[Floats]:
    columns = [means[action]]
    if len(means) <= _OWN_COLUMN:
        columns += [(action == index).astype(np.float64) for index in range(len(means))]
    return columns


def _with_action(matrix: Floats, action: int, means: Floats) -> Floats:
    return np.column_stack([matrix, *_action_columns(np.full(len(matrix), action, dtype=np.int64), means)])
