"""Segments by recency, frequency and monetary value of purchases, relative to the tenant's other buyers.

Equal values always get equal scores. A tenant with too few buyers gets no segments, only the statement that there
are too few.
"""

import json
from collections.abc import Callable, Mapping
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

MIN_BUYERS = 50
"""Ten buyers per fifth: below that a fifth says more about chance than about the buyers."""

FIFTHS = (0.2, 0.4, 0.6, 0.8)

NEEDED = ("tenant", "recipient_id", "as_of", "last_purchase_at", "purchase_count_90d", "purchase_value_cents_90d")
"""Columns of a feature table that segments depend on; they look back 90 days."""

Scores = npt.NDArray[np.int64]


class Segment(StrEnum):
    """The closed list of segments."""

    CHAMPIONS = "champions"
    LOYAL = "loyal"
    NEW = "new"
    REGULAR = "regular"
    AT_RISK = "at_risk"
    HIBERNATING = "hibernating"
    INACTIVE = "inactive"
    NOT_ENOUGH_DATA = "not_enough_data"

    @property
    def meaning(self) -> str:
        """Return the segment's meaning in one sentence."""
        return _MEANING[self]


_MEANING = {
    Segment.CHAMPIONS: "Bought lately, often and much: among the best two fifths in all three.",
    Segment.LOYAL: "Buys often and has not stayed away.",
    Segment.NEW: "Bought lately and seldom so far.",
    Segment.REGULAR: "Buys now and then, neither new nor drifting away.",
    Segment.AT_RISK: "Used to buy at least as often as most and has stayed away longer than most.",
    Segment.HIBERNATING: "Bought seldom and not for long.",
    Segment.INACTIVE: "No purchase in 90 days.",
    Segment.NOT_ENOUGH_DATA: f"The tenant has fewer than {MIN_BUYERS} buyers in 90 days.",
}

_RULES: tuple[tuple[Segment, Callable[[Scores, Scores, Scores], npt.NDArray[np.bool_]]], ...] = (
    (Segment.CHAMPIONS, lambda r, f, m: (r >= 4) & (f >= 4) & (m >= 4)),  # noqa: PLR2004
    (Segment.LOYAL, lambda r, f, _: (r >= 3) & (f >= 4)),  # noqa: PLR2004
    (Segment.NEW, lambda r, f, _: (r >= 4) & (f == 1)),  # noqa: PLR2004
    (Segment.AT_RISK, lambda r, f, _: (r <= 2) & (f >= 3)),  # noqa: PLR2004
    (Segment.HIBERNATING, lambda r, f, _: (r <= 2) & (f <= 2)),  # noqa: PLR2004
    (Segment.REGULAR, lambda r, _f, _m: np.ones_like(r, dtype=bool)),
)
"""The first rule that fits decides; scores run from 1 (worst fifth) to 5 (best fifth)."""


def membership(rows: pd.DataFrame, *, min_buyers: int = MIN_BUYERS) -> pd.DataFrame:
    """Put every recipient of one day's feature rows into exactly one segment.

    Args:
        rows: one row per recipient with the columns of ``NEEDED``; moments aware.
        min_buyers: fewer recipients with a purchase than this, and the tenant is not divided.

    Returns:
        ``tenant``, ``recipient_id``, ``as_of``, ``segment``, ``recency_score``, ``frequency_score`` and
        ``monetary_score`` (1 to 5), ``score`` (their mean over 5, in [0.2, 1]) and ``thresholds`` (JSON: the values
        that divided the fifths, the same for the whole tenant), ordered by tenant and recipient. Scores are missing
        for inactive recipients, and thresholds too where the tenant is too small.

    Raises:
        ValueError: a column is missing, or a recipient appears twice.
    """
    missing = [name for name in NEEDED if name not in rows.columns]
    if missing:
        raise ValueError(f"rows: missing columns {', '.join(missing)}")
    if rows.duplicated(["tenant", "recipient_id"]).any():
        raise ValueError("rows: one row per recipient is expected")
    ordered = rows[list(NEEDED)].sort_values(["tenant", "recipient_id"], ignore_index=True)
    parts = [_of_tenant(part, min_buyers) for _, part in ordered.groupby("tenant", sort=True)]
    return pd.concat(parts, ignore_index=True) if parts else _of_tenant(ordered, min_buyers)


def _of_tenant(rows: pd.DataFrame, min_buyers: int) -> pd.DataFrame:
    is_buyer = (rows["last_purchase_at"].notna() & (rows["purchase_count_90d"] > 0)).to_numpy(dtype=bool)
    answer = rows[["tenant", "recipient_id", "as_of"]].assign(
        segment=Segment.INACTIVE.value,
        recency_score=pd.array([pd.NA] * len(rows), dtype="Int64"),
        frequency_score=pd.array([pd.NA] * len(rows), dtype="Int64"),
        monetary_score=pd.array([pd.NA] * len(rows), dtype="Int64"),
        score=np.nan,
        thresholds=None,
    )
    if is_buyer.sum() < min_buyers:
        return answer.assign(segment=Segment.NOT_ENOUGH_DATA.value)
    return _divide(answer, is_buyer, _measured(rows[is_buyer]))


def _measured(buyers: pd.DataFrame) -> dict[str, npt.NDArray[np.float64]]:
    age = (buyers["as_of"] - buyers["last_purchase_at"]).dt.total_seconds() / 3600
    return {
        "recency": -age.to_numpy(dtype=np.float64),
        "frequency": buyers["purchase_count_90d"].to_numpy(dtype=np.float64),
        "monetary": buyers["purchase_value_cents_90d"].to_numpy(dtype=np.float64),
    }


def _divide(
    answer: pd.DataFrame, is_buyer: npt.NDArray[np.bool_], measured: Mapping[str, npt.NDArray[np.float64]]
) -> pd.DataFrame:
    edges = {name: np.quantile(values, FIFTHS, method="lower") for name, values in measured.items()}
    scores = {name: 1 + np.searchsorted(edges[name], values, side="left") for name, values in measured.items()}
    for name, values in scores.items():
        answer.loc[is_buyer, f"{name}_score"] = values
    answer.loc[is_buyer, "segment"] = _named(scores["recency"], scores["frequency"], scores["monetary"])
    answer.loc[is_buyer, "score"] = sum(scores.values()) / (5 * len(scores))
    told = {
        "recency_hours": (-edges["recency"]).tolist(),
        "frequency_count_90d": edges["frequency"].tolist(),
        "monetary_cents_90d": edges["monetary"].tolist(),
    }
    return answer.assign(thresholds=json.dumps(told, sort_keys=True))


def _named(recency: Scores, frequency: Scores, monetary: Scores) -> list[str]:
    fits = [rule(recency, frequency, monetary) for _, rule in _RULES]
    return [_RULES[first][0].value for first in np.argmax(fits, axis=0)]
