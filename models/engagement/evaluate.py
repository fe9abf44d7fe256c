"""Judges probabilities on rows that were not fitted on: ranking, calibration, and whether a model may be promoted.

A number that the rows cannot carry is not given: it is absent, or the call is refused with ``NotEnoughData``.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.calibration import FLOOR, line, logit
from models.engagement.baseline import logistic_baseline
from models.engagement.gate import GateVerdict, Limits, passes_gate
from models.engagement.report import Interval, Report, Slice
from models.engagement.spec import NotEnoughData

__all__ = ["GateVerdict", "Limits", "Report", "evaluate", "logistic_baseline", "passes_gate"]  # read by mypy

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]

MIN_ROWS = 100
MIN_POSITIVES = 20
"""Fewer rows, or fewer of either class, are not judged."""

SLICE_MIN_ROWS = 50
SLICE_MIN_POSITIVES = 10
"""Slices below this are counted and not judged."""

BINS = 15
"""Equal-mass bins of the calibration error."""

RESAMPLES = 300
LEVEL = 0.95
"""Bootstrap resamples of recipients, and the level of the intervals they give."""


def evaluate(
    label: Labels,
    p: Floats,
    *,
    message_type: Sequence[str] | npt.NDArray[np.str_],
    recipient: Sequence[str] | npt.NDArray[np.str_],
    base_rates: Mapping[str, float],
    seed: int,
) -> Report:
    """Judge probabilities on rows that no part of the model has seen.

    Args:
        label: 0 or 1 per row.
        p: predicted probability per row, in (0, 1).
        message_type: per row, to compare with ``base_rates`` and to slice by.
        recipient: per row; intervals resample recipients, whose rows are not independent.
        base_rates: training rates per message type, and the overall one under ``*`` for types not seen then.
        seed: of the resampling.

    Raises:
        NotEnoughData: too few rows, or too few of either class.
        ValueError: a prediction is no probability.
    """
    _require(label, p)
    base = np.array([base_rates.get(str(kind), base_rates["*"]) for kind in message_type])
    rows = _Rows(label.astype(np.float64), p.astype(np.float64), base, np.ones(len(p)))
    codes, who = pd.factorize(np.asarray(recipient))
    return Report(
        n=len(label),
        positives=int(label.sum()),
        recipients=len(who),
        **{name: measure(rows) for name, measure in _MEASURED.items()},
        ece=_ece(rows),
        brier=float(np.square(rows.p - rows.label).mean()),
        intercept=line(logit(rows.p), label)[0],
        intervals=_intervals(rows, codes, seed),
        by_message_type=_slices(rows, np.asarray(message_type)),
        rows_digest=_digest(label, np.asarray(recipient), np.asarray(message_type)),
    )


@dataclass(frozen=True)
class _Rows:
    """Rows, each counted ``weight`` times."""

    label: Floats
    p: Floats
    base: Floats
    weight: Floats

    def take(self, rows: npt.NDArray[np.bool_]) -> "_Rows":
        return _Rows(self.label[rows], self.p[rows], self.base[rows], self.weight[rows])


def _require(label: Labels, p: Floats) -> None:
    positives = int(label.sum())
    for what, have, need in (
        ("rows to judge on", len(label), MIN_ROWS),
        ("rows with a conversion to judge on", positives, MIN_POSITIVES),
        ("rows without a conversion to judge on", len(label) - positives, MIN_POSITIVES),
    ):
        if have < need:
            raise NotEnoughData(what, have=have, need=need)
    if not ((p > 0.0) & (p < 1.0)).all():
        raise ValueError("p: expected probabilities strictly between 0 and 1")


def _loss(label: Floats, p: Floats) -> Floats:
    kept = np.clip(p, FLOOR, 1.0 - FLOOR)
    return -(label * np.log(kept) + (1.0 - label) * np.log1p(-kept))


def _log_loss(rows: _Rows) -> float:
    return float(np.average(_loss(rows.label, rows.p), weights=rows.weight))


def _skill(rows: _Rows) -> float:
    return float(1.0 - _log_loss(rows) / np.average(_loss(rows.label, rows.base), weights=rows.weight))


def _auc(rows: _Rows) -> float:
    """Return the chance that a row with a conversion scores above one without, ties counting half."""
    _, place = np.unique(rows.p, return_inverse=True)
    hits = np.bincount(place, rows.weight * rows.label)
    misses = np.bincount(place, rows.weight * (1.0 - rows.label))
    below = np.cumsum(misses) - misses
    return float((hits * (below + 0.5 * misses)).sum() / (hits.sum() * misses.sum()))


def _observed_expected(rows: _Rows) -> float:
    return float((rows.weight * rows.label).sum() / (rows.weight * rows.p).sum())


def _slope(rows: _Rows) -> float:
    return line(logit(rows.p), rows.label, rows.weight)[1]


def _ece(rows: _Rows) -> float:
    order = np.argsort(rows.p, kind="stable")
    gaps = [abs(rows.label[part].mean() - rows.p[part].mean()) * len(part) for part in np.array_split(order, BINS)]
    return float(sum(gaps) / len(order))


_MEASURED: Mapping[str, Callable[[_Rows], float]] = {
    "auc": _auc,
    "log_loss": _log_loss,
    "skill": _skill,
    "slope": _slope,
    "observed_expected": _observed_expected,
}
"""Numbers that get an interval."""


def _intervals(rows: _Rows, recipient: npt.NDArray[np.int64], seed: int) -> dict[str, Interval]:
    """Resample recipients; a recipient drawn twice has all their rows counted twice."""
    rng = np.random.default_rng(seed)
    people = int(recipient.max()) + 1
    drawn: list[list[float]] = []
    for _ in range(RESAMPLES):
        times = np.bincount(rng.integers(0, people, people), minlength=people)[recipient].astype(np.float64)
        hits = float((times * rows.label).sum())
        if 0 < hits < times.sum():
            sample = replace(rows, weight=times)
            drawn.append([measure(sample) for measure in _MEASURED.values()])
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(np.array(drawn), [tail, 1.0 - tail], axis=0)
    return {name: Interval(float(low[i]), float(high[i])) for i, name in enumerate(_MEASURED)}


def _slices(rows: _Rows, message_type: npt.NDArray[np.str_]) -> tuple[Slice, ...]:
    return tuple(_slice(str(kind), rows.take(message_type == kind)) for kind in np.unique(message_type))


def _slice(kind: str, rows: _Rows) -> Slice:
    n, positives = len(rows.label), int(rows.label.sum())
    judged = n >= SLICE_MIN_ROWS and SLICE_MIN_POSITIVES <= positives <= n - SLICE_MIN_POSITIVES
    return Slice(
        message_type=kind,
        n=n,
        positives=positives,
        mean_p=float(rows.p.mean()),
        log_loss=_log_loss(rows) if judged else None,
        base_log_loss=float(_loss(rows.label, rows.base).mean()) if judged else None,
        auc=_auc(rows) if judged else None,
        observed_expected=_observed_expected(rows) if judged else None,
    )


def _digest(label: Labels, recipient: npt.NDArray[np.str_], message_type: npt.NDArray[np.str_]) -> str:
    told = "\n".join(f"{a}\t{b}\t{c}" for a, b, c in zip(recipient, message_type, label, strict=True))
    return hashlib.sha256(told.encode()).hexdigest()
