"""Whether what features add to a score sums to it, and equals shap's (experiment B18).

The scorer of the engagement model explains 2,000 rows with missing values by a booster that learnt from made-up ones;
shap's TreeExplainer gets the same booster and the same rows.
"""

from typing import Any

import numpy as np
import xgboost as xgb

from benchmarks import peers
from models.calibration import platt
from models.engagement.score import Canary, Scorer, margins

ROWS, EXPLAINED, FEATURES, SEED = 20_000, 2_000, 12, 100
MOST_LEFT_OVER, MOST_DIFFERENCE = 2e-6, 0.0


def measure() -> dict[str, Any]:
    """Return the largest part of a score that contributions leave over, and their largest difference from shap's."""
    scorer, booster, matrix = a_scorer()
    found = scorer.contributions(matrix)
    left_over = float(np.abs(found.sum(axis=1) - margins(booster, matrix)).max())

    def shap() -> dict[str, Any]:
        given = {"model": np.frombuffer(bytes(booster.save_raw("json")), dtype=np.uint8), "matrix": matrix}
        told = np.array(peers.ask(peers.SHAP, "shap_values.py", **given)["values"])
        return {"max_abs_difference": float(np.abs(found[:, :-1] - told).max())}

    beside = peers.beside(peers.SHAP, shap)
    equal = beside.get("max_abs_difference", 0.0) <= MOST_DIFFERENCE
    return {"rows": EXPLAINED, **beside, "left_over": left_over, "met": bool(left_over <= MOST_LEFT_OVER and equal)}


def a_scorer() -> tuple[Scorer, xgb.Booster, np.ndarray[Any, np.dtype[np.float32]]]:
    """Return a scorer, its booster and rows to explain, shape (EXPLAINED, FEATURES)."""
    rng = np.random.default_rng(SEED)
    matrix = rng.normal(size=(ROWS, FEATURES)).astype(np.float32)
    truth = matrix[:, 0] + matrix[:, 1] * matrix[:, 2] - 3
    label = (rng.random(ROWS) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    matrix[rng.random(matrix.shape) < 0.1] = np.nan  # noqa: PLR2004 - a tenth is missing
    names = [f"feature_{place}" for place in range(FEATURES)]
    given = {"objective": "binary:logistic", "max_depth": 4, "eta": 0.1, "nthread": 1, "seed": SEED}
    booster = xgb.train(given, xgb.DMatrix(matrix, label, feature_names=names, nthread=1), 200)
    rows = matrix[:EXPLAINED]
    calibration = platt(margins(booster, matrix), label)
    canary = Canary(rows[:1], calibration.apply(margins(booster, rows[:1])))
    made = Scorer(booster, calibration, features=names, vocabularies={}, base_rates={"*": 0.05}, canary=canary)
    return made, booster, rows
