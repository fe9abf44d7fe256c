"""A plain logistic regression on the same rows: what a booster has to be compared with to mean anything.

It is never served; it needs no tuning and no calibration.
"""

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from models.engagement.dataset import Dataset

Floats = npt.NDArray[np.float64]

_INVERSE_PENALTY = 0.03


def logistic_baseline(train: Dataset, test: Dataset) -> Floats:
    """Return the test rows' probabilities by a plain logistic regression fitted on the training rows.

    Numbers enter as signed ``log(1 + |x|)``, standardised; a missing one as the mean with a flag of its own; the
    message type as one flag per type seen.
    """
    fitted = LogisticRegression(C=_INVERSE_PENALTY, max_iter=5_000)
    prepared = _Design(train)
    fitted.fit(prepared.of(train), train.label)
    return np.asarray(fitted.predict_proba(prepared.of(test))[:, 1], dtype=np.float64)


class _Design:
    """Turns rows into the baseline's design matrix, by what the training rows looked like."""

    def __init__(self, train: Dataset) -> None:
        plain = self._plain(train)
        with_gaps = np.isnan(plain)
        self._has_value = ~with_gaps.all(axis=0)
        self._gaps = with_gaps.any(axis=0) & self._has_value
        values = np.where(with_gaps, 0.0, plain)
        count = np.maximum((~with_gaps).sum(axis=0), 1)
        self._mean = values.sum(axis=0) / count
        spread = np.sqrt(np.where(with_gaps, 0.0, np.square(plain - self._mean)).sum(axis=0) / count)
        self._spread = np.where(spread > 0, spread, 1.0)
        self._types = sorted(set(train.message_type.tolist()))

    @staticmethod
    def _plain(rows: Dataset) -> Floats:
        numbers = rows.matrix[:, [not name.startswith("message_type") for name in rows.features]].astype(np.float64)
        return np.asarray(np.sign(numbers) * np.log1p(np.abs(numbers)))

    def of(self, rows: Dataset) -> Floats:
        plain = self._plain(rows)
        scaled = np.nan_to_num((plain - self._mean) / self._spread)[:, self._has_value]
        gaps = np.where(np.isnan(plain[:, self._gaps]), 1.0, -1.0)
        types = np.where(rows.message_type[:, None] == np.array(self._types)[None, :], 1.0, -1.0)
        return np.hstack([scaled, gaps, types])
