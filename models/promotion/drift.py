"""Population stability: how far the rows of today lie from those a model was trained on, feature by feature.

    PSI = sum over bins of (today - then) * ln(today / then)

Bins hold equal shares of the training rows, with one more for missing values. Below 0.1 nothing moved, from 0.25 on
it is another population (Siddiqi 2006). What chance alone would give, about (bins - 1) * (1/n + 1/m), is taken off.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from models.promotion.finding import Claim, Finding, unknown
from models.promotion.rows import LEAST_ROWS

Floats = npt.NDArray[np.float64]

BINS = 10
MOVED, ANOTHER_POPULATION = 0.1, 0.25
_FLOOR = 1e-4
"""Share of an empty bin, so that a logarithm exists."""


def psi(then: npt.NDArray[np.floating], now: npt.NDArray[np.floating], *, bins: int = BINS) -> float:
    """Return the stability index of one feature, at least 0, less what chance alone would give.

    Args:
        then: values in training, shape (n,); NaN is missing.
        now: values today, shape (m,).
        bins: equal shares of the training values.

    Raises:
        ValueError: one of them has no row.
    """
    if not len(then) or not len(now):
        raise ValueError("then and now: expected at least one row of each")
    known = then[~np.isnan(then)]
    cuts = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else np.zeros(0)
    before, after = _shares(then, cuts), _shares(now, cuts)
    used = (before > 0) | (after > 0)
    chance = (int(used.sum()) - 1) * (1 / len(then) + 1 / len(now))
    before, after = np.maximum(before[used], _FLOOR), np.maximum(after[used], _FLOOR)
    return max(0.0, float(((after - before) * np.log(after / before)).sum()) - chance)


def _shares(values: npt.NDArray[np.floating], cuts: Floats) -> Floats:
    # A value on a cut belongs below it, so that a constant fills one bin and not two.
    place = np.where(np.isnan(values), len(cuts) + 1, np.searchsorted(cuts, values, side="left"))
    return np.bincount(place, minlength=len(cuts) + 2) / len(values)


def by_feature(
    then: npt.NDArray[np.floating], now: npt.NDArray[np.floating], features: Sequence[str]
) -> dict[str, float]:
    """Return the index of each column of two matrices of shape (n, k) and (m, k), by name."""
    return {name: psi(then[:, place], now[:, place]) for place, name in enumerate(features)}


def finding(
    found: Mapping[str, float], importance: Mapping[str, float], *, rows: tuple[int, int], limit: float
) -> Finding:
    """Hold the importance-weighted index against a limit; what the model does not use may move as it likes.

    Args:
        found: index by feature.
        importance: share of the model's total gain by feature.
        rows: of training and of today.
        limit: largest index that is let through.
    """
    if min(rows) < LEAST_ROWS:
        why = f"{rows[0]} rows of training and {rows[1]} of today, at least {LEAST_ROWS} of each are needed"
        return unknown(Claim.FEATURES_AS_TRAINED, "drift.psi", why)
    used = {name: max(importance.get(name, 0.0), 0.0) for name in found}
    total = sum(used.values()) or 1.0
    number = sum(found[name] * used[name] for name in found) / total
    worst = sorted(found, key=lambda name: -found[name] * used[name])[:3]
    told = ", ".join(f"{name} {found[name]:.2f}" for name in worst)
    sentence = f"PSI of the features by importance {number:.3f}: at most {limit}; it moved most at {told}"
    return Finding(Claim.FEATURES_AS_TRAINED, "drift.psi", number <= limit, number, limit, sentence)
