"""Labelled rows: which messages were answered in time, and which rows may train or test a model.

A row is a message that was sent; its window must have closed before anybody may call it unanswered.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.engagement import spec

_WHO = ["tenant", "recipient_id"]
SEND_COLUMNS = (*_WHO, "campaign_id", "decision_id", "message_type", "channel", "decided_at", "window_ends_at")
CONVERSION_COLUMNS = (*_WHO, "campaign_id", "occurred_at")


def label(sends: pd.DataFrame, conversions: pd.DataFrame, *, cut: datetime, keep_open: bool = False) -> pd.DataFrame:
    """Label each message sent with whether it was answered in ``(decided_at, window_ends_at]``.

    A conversion answers the message with its decision id; one without a decision id answers the messages of its
    campaign to the same recipient. A message with neither campaign nor decision id, which no conversion could ever
    name, is left out.

    Args:
        sends: ``SEND_COLUMNS`` and any others, which are kept; moments aware.
        conversions: ``CONVERSION_COLUMNS`` and, where known, ``decision_id``; those after ``cut`` are not looked at.
        cut: what is known. Only rows whose window had closed by then are returned.
        keep_open: return rows whose window is still open too, labelled by what is known: for a hold-out at the end
            of the data, never to train on.

    Returns:
        The sends that count, with ``label`` (int8, 0 or 1) and ``is_closed``.

    Raises:
        ValueError: a column is missing.
    """
    _need(sends, SEND_COLUMNS, "sends")
    _need(conversions, CONVERSION_COLUMNS, "conversions")
    conversions = conversions.reindex(columns=[*CONVERSION_COLUMNS, "decision_id"])
    known = conversions[conversions["occurred_at"] <= cut]
    can_be_named = sends["campaign_id"].notna() | sends["decision_id"].notna()
    rows = sends[can_be_named & (sends["decided_at"] < cut)]
    rows = rows[(rows["window_ends_at"] <= cut) | keep_open].reset_index(drop=True)
    direct = _answered(rows, known, "decision_id")
    by_campaign = _answered(rows, known[known["decision_id"].isna()], "campaign_id")
    answered = pd.Series(direct | by_campaign, index=rows.index).astype("int8")
    return rows.assign(label=answered, is_closed=rows["window_ends_at"] <= cut)


def _need(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ValueError(f"{what}: missing columns {', '.join(missing)}")


def _answered(rows: pd.DataFrame, conversions: pd.DataFrame, key: str) -> npt.NDArray[np.bool_]:
    """Return per row whether a conversion with the same key falls into its window."""
    on = [*_WHO, key]
    asked = rows.loc[rows[key].notna(), [*on, "decided_at", "window_ends_at"]].assign(row=lambda f: f.index)
    named = conversions.loc[conversions[key].notna(), [*on, "occurred_at"]]
    pairs = asked.astype({key: str}).merge(named.astype({key: str}), on=on)
    within = (pairs["occurred_at"] > pairs["decided_at"]) & (pairs["occurred_at"] <= pairs["window_ends_at"])
    answered = np.zeros(len(rows), dtype=bool)
    answered[pairs.loc[within, "row"].to_numpy(dtype=np.int64)] = True
    return answered


@dataclass(frozen=True)
class TimeSplit:
    """Rows before and after a moment, without overlap; ``dropped`` rows were decided before and closed after."""

    train: pd.DataFrame
    test: pd.DataFrame
    dropped: int


def time_split(rows: pd.DataFrame, *, at: datetime) -> TimeSplit:
    """Split labelled rows: train on windows closed by ``at``, test on what was decided at or after it."""
    train = rows[rows["window_ends_at"] <= at].reset_index(drop=True)
    test = rows[rows["decided_at"] >= at].reset_index(drop=True)
    return TimeSplit(train=train, test=test, dropped=len(rows) - len(train) - len(test))


def vocabularies(train: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Learn the codes of message types, channels and categories from training rows.

    Message types and channels are ordered by their training rate, shrunk to the overall rate, lowest first; that
    order is what the model's monotone constraint speaks about. Never call it on rows that are tested later.
    """
    known = {name: train[name] for name in ("message_type", "channel") if name in train.columns}
    learned = {name: _by_rate(values, train[spec.LABEL]) for name, values in known.items()}
    top = train["category_top_90d"] if "category_top_90d" in train.columns else pd.Series([], dtype="string")
    return {**learned, "category": tuple(sorted(top.dropna().unique()))}


def base_rates(message_type: Sequence[str | None], label: npt.NDArray[np.int8]) -> dict[str, float]:
    """Return the answer rate per message type, shrunk to the overall rate, which has the key ``*``."""
    overall = float(np.mean(label))
    frame = pd.DataFrame({"type": message_type, "label": label})
    counted = frame.groupby("type", sort=True)["label"].agg(["sum", "count"])
    shrunk = (counted["sum"] + _PRIOR_ROWS * overall) / (counted["count"] + _PRIOR_ROWS)
    return {"*": overall, **{str(name): float(rate) for name, rate in shrunk.items()}}


_PRIOR_ROWS = 10.0
"""A rate is shrunk as if so many rows more had been seen at the overall rate."""


def _by_rate(values: pd.Series, label: pd.Series) -> tuple[str, ...]:
    rates = base_rates(values.tolist(), label.to_numpy(dtype=np.int8))
    return tuple(sorted((name for name in rates if name != "*"), key=lambda name: (rates[name], name)))


@dataclass(frozen=True)
class Dataset:
    """Rows as a model takes them: ``matrix`` is float32 (rows, features), the other arrays have one value per row."""

    matrix: npt.NDArray[np.float32]
    label: npt.NDArray[np.int8]
    decided_at: npt.NDArray[np.datetime64]
    window_ends_at: npt.NDArray[np.datetime64]
    recipient: npt.NDArray[np.str_]
    message_type: npt.NDArray[np.str_]
    features: tuple[str, ...]
    vocabularies: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: npt.NDArray[Any]) -> "Dataset":
        """Return the dataset of some rows, by mask or by index."""
        per_row = ("matrix", "label", "decided_at", "window_ends_at", "recipient", "message_type")
        return Dataset(
            **{name: getattr(self, name)[rows] for name in per_row},
            features=self.features,
            vocabularies=self.vocabularies,
        )

    def digest(self) -> str:
        """Return the SHA-256 of everything a fit depends on: the same digest means the same data."""
        digest = hashlib.sha256("\n".join(self.features).encode())
        for values in (self.matrix, self.label, self.decided_at.astype(np.int64)):
            digest.update(np.ascontiguousarray(values).tobytes())
        digest.update("\n".join([*self.recipient, *self.message_type]).encode())
        return digest.hexdigest()


def dataset(
    rows: pd.DataFrame, matrix: npt.NDArray[np.float32], *, vocabularies: Mapping[str, Sequence[str]]
) -> Dataset:
    """Put labelled rows and their matrix into the model's shape.

    Args:
        rows: labelled rows.
        matrix: their features in the order of ``spec.FEATURES``, as ``at_read`` gives them.
        vocabularies: what the matrix was coded with.

    Raises:
        ValueError: the shapes do not fit.
    """
    if matrix.shape != (len(rows), len(spec.FEATURES)):
        raise ValueError(f"matrix: expected {(len(rows), len(spec.FEATURES))}, got {matrix.shape}")
    recipients = [
        f"{tenant}\t{recipient}" for tenant, recipient in zip(rows["tenant"], rows["recipient_id"], strict=True)
    ]
    return Dataset(
        matrix=np.ascontiguousarray(matrix, dtype=np.float32),
        label=rows[spec.LABEL].to_numpy(dtype=np.int8),
        decided_at=_utc(rows["decided_at"]),
        window_ends_at=_utc(rows["window_ends_at"]),
        recipient=np.array(recipients, dtype=np.str_),
        message_type=rows["message_type"].fillna("").to_numpy(dtype=np.str_),
        features=spec.FEATURES,
        vocabularies={name: tuple(values) for name, values in vocabularies.items()},
    )


def _utc(moments: pd.Series) -> npt.NDArray[np.datetime64]:
    naive: npt.NDArray[np.datetime64] = moments.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
    return naive
