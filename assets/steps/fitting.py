"""Fits the engagement model on the training set and judges any version of it on later rows it has not seen.

The matrix is made by the function the service uses, with vocabularies learned on the training part only. A fit is
repeatable: the same rows, cut and seed give the same model.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from assets.steps.training_rows import DECIDED_AT
from feature_repo.engagement.at_read import at_read
from models.engagement import dataset, evaluate, plots, spec, train
from models.engagement.dataset import Dataset
from models.engagement.evaluate import Report
from models.engagement.score import Scorer

SEED = 20_170_101
"""Default seed; any other gives another, equally good model."""
TEST_SHARE = 0.25
"""Share of the rows, the latest, that the model is judged on unless a cut is given."""

STARTED = "started_"
"""Prefix of the numbers about every row after the cut, with closed window or not."""

Scores = npt.NDArray[np.float64]
Progress = Callable[[str], object]


@dataclass(frozen=True)
class Judged:
    """A model's scores on the rows after the cut and what they are worth.

    ``report`` is about the rows whose window has closed: their labels are final, so only they weigh in the gate.
    ``started`` is about all of them, those still open labelled by what is known: the usual hold-out of a recorded
    history, which ends in the middle of windows.
    """

    scores: Scores
    report: Report
    started: Report
    base_rates: Mapping[str, float]

    @property
    def metrics(self) -> dict[str, float]:
        """Every number, flat; those about all rows begin with ``started_``."""
        started = {f"{STARTED}{name}": number for name, number in self.started.metrics().items()}
        return {**self.report.metrics(), **started}


@dataclass(frozen=True)
class Fitted:
    """A fitted model, how it does on the test rows, and how a logistic regression does on the same."""

    files: Mapping[str, bytes]
    cut: datetime
    seed: int
    train: Dataset
    test: Dataset
    is_closed: npt.NDArray[np.bool_]
    dropped: int
    judged: Judged
    baseline: Judged
    params: Mapping[str, object]
    importance: Mapping[str, float]

    @property
    def metrics(self) -> dict[str, float]:
        """Every number about the test rows, flat; the baseline's begin with ``baseline_``."""
        baseline = {f"baseline_{name}": number for name, number in self.baseline.metrics.items()}
        return {**self.judged.metrics, **baseline}

    @property
    def figures(self) -> dict[str, bytes]:
        """PNG images of calibration and gain on the test rows."""
        final = self.is_closed
        return {
            "plots/calibration.png": plots.calibration_png(self.test.label[final], self.judged.scores[final]),
            "plots/gain.png": plots.gain_png(self.test.label[final], self.judged.scores[final]),
        }


def fit(rows: pd.DataFrame, *, cut: datetime | None, seed: int, progress: Progress, device: str = "cpu") -> Fitted:
    """Fit on rows before the cut, judge on rows after it.

    Args:
        rows: the training set.
        cut: where to divide; None divides so that the latest quarter of the rows is judged.
        seed: of everything that is drawn.
        progress: told how far it got.
        device: ``cpu`` or ``cuda``.

    Raises:
        NotEnoughData: too few rows or conversions on one side.
        NoSuchDevice: there is no GPU.
    """
    at = cut or default_cut(rows)
    split = dataset.time_split(rows, at=at)
    # A cut beyond what is known would let windows through that are still open.
    known = split.train[closed(split.train)]
    vocabularies = dataset.vocabularies(known)
    before, after = prepared(known, vocabularies), prepared(split.test, vocabularies)
    moment = f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    progress(f"{spec.NAME}: {len(before.label)} rows before {moment}, {len(after.label)} after")
    model = train.fit(before, params=spec.PARAMS, seed=seed, device=device)
    scores = model.predict(after.matrix)
    logistic = _judged(split.test, evaluate.logistic_baseline(before, after), model.base_rates, seed)
    return Fitted(
        files=model.to_files(),
        cut=at,
        seed=seed,
        train=before,
        test=after,
        is_closed=closed(split.test),
        dropped=split.dropped,
        judged=_judged(split.test, scores, model.base_rates, seed),
        baseline=logistic,
        params={
            **asdict(spec.PARAMS),
            "seed": seed,
            "cut": at.isoformat(),
            "features": len(spec.FEATURES),
            "device": device,
        },
        importance=model.importance(),
    )


def default_cut(rows: pd.DataFrame) -> datetime:
    """Return from when on there is about a quarter of the rows whose window has closed.

    Campaigns send many messages at one moment, so the share nearest to a quarter is taken.
    """
    final = rows[closed(rows)]
    if final.empty:
        raise train.NotEnoughData("rows of the training set", have=0, need=spec.MIN_ROWS)
    later = final[DECIDED_AT].value_counts().sort_index(ascending=False).cumsum() / len(final)
    return pd.Timestamp(str((later - TEST_SHARE).abs().idxmin())).to_pydatetime()


def prepared(rows: pd.DataFrame, vocabularies: Mapping[str, tuple[str, ...]]) -> Dataset:
    """Return rows of the training set as a model's input, by the function that decisions use."""
    read = at_read(rows, rows, features=spec.FEATURES, vocabularies=vocabularies)
    return dataset.dataset(rows, read.matrix, vocabularies=vocabularies)


def judge(rows: pd.DataFrame, scorer: Scorer, *, cut: datetime, seed: int) -> tuple[pd.DataFrame, Judged]:
    """Judge a registered model on the rows after a cut, which need not have the features of today's models.

    Returns:
        The rows after the cut, and what the model makes of them.
    """
    test = dataset.time_split(rows, at=cut).test
    read = at_read(test, test, features=scorer.features, vocabularies=scorer.vocabularies)
    scores = scorer.score(read.matrix)
    return test, _judged(test, scores, scorer.base_rates, seed)


def closed(rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Tell for each row whether its window has closed, so that its label is final."""
    return rows["is_closed"].to_numpy(dtype=np.bool_)


def _judged(rows: pd.DataFrame, scores: Scores, base_rates: Mapping[str, float], seed: int) -> Judged:
    final = closed(rows)
    return Judged(
        scores,
        worth(rows[final], scores[final], base_rates, seed),
        worth(rows, scores, base_rates, seed),
        base_rates,
    )


def worth(rows: pd.DataFrame, scores: Scores, base_rates: Mapping[str, float], seed: int) -> Report:
    """Say what scores are worth on rows they were not fitted on."""
    return evaluate.evaluate(
        rows[spec.LABEL].to_numpy(dtype=np.int8),
        scores,
        message_type=rows["message_type"].fillna("").to_numpy(dtype=np.str_),
        recipient=(rows["tenant"] + "\t" + rows["recipient_id"]).to_numpy(dtype=np.str_),
        base_rates=base_rates,
        seed=seed,
    )
