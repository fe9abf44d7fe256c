"""Turns stored features into a model's input in the moment of a decision, the same way offline and online.

What is too old, unknown or absent becomes missing (NaN); nothing is ever replaced by zero. This module needs
neither DuckDB nor Ibis, so a service can afford it on every decision.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from domain.values import Channel
from feature_repo.engagement import catalog
from feature_repo.engagement.catalog import Dtype, Feature, View
from feature_repo.engagement.read_features import of_channel

FRESH_FOR = timedelta(hours=26)
"""A nightly row and two hours of delay."""

STALE_FOR = timedelta(hours=50)
"""One missed night more; after that a row says too little about today."""

CLOCK_SKEW = timedelta(seconds=60)
"""How far a row may lie ahead of the decision: the stream may write while a decision is under way."""

AS_OF = {View.ENGAGEMENT: "engagement_as_of", View.DELIVERY: "delivery_as_of"}
"""Per view, the stored feature that says which moment its row describes."""

Floats = npt.NDArray[np.float64]
Columns = Mapping[str, Sequence[Any]] | pd.DataFrame
_HOUR = 3600.0
_DAYS_PER_YEAR = 365.25
_HOURS_PER_WEEK = 168
_SATURDAY = 5 * 24


class Freshness(StrEnum):
    """Whether a stored row may still be used."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"


@dataclass(frozen=True)
class ReadRows:
    """A model's input.

    ``matrix`` is float32 of shape (rows, features), columns in the order of ``features``. ``freshness`` says per
    view and row whether its stored values were used (fresh, or stale and to be flagged) or are missing.
    """

    matrix: npt.NDArray[np.float32]
    features: tuple[str, ...]
    freshness: Mapping[View, tuple[Freshness, ...]]


def freshness(as_of: datetime | None, now: datetime) -> Freshness:
    """Say whether a row that describes the moment ``as_of`` may be used at ``now``.

    Both ends are inclusive: 26 hours old is fresh, 50 hours old is stale. Without a row, or with one from the
    future, it is missing.
    """
    if as_of is None or now - as_of > STALE_FOR or as_of - now > CLOCK_SKEW:
        return Freshness.MISSING
    return Freshness.FRESH if now - as_of <= FRESH_FOR else Freshness.STALE


def at_read(
    stored: Columns,
    decisions: Columns,
    *,
    features: Sequence[str],
    vocabularies: Mapping[str, Sequence[str]],
) -> ReadRows:
    """Build a model's input for decisions on stored features.

    Args:
        stored: per decision the recipient's stored features, as columns of equal length: those that ``features``
            stand on, and the as-of of every view they come from. None, NaN and NaT are missing.
        decisions: columns ``decided_at`` (aware), and where ``features`` need them ``message_type``, ``channel``,
            ``local_hour_of_week`` (0 = Monday 00:00) and ``local_date``.
        features: names from the catalog in the order the model wants them.
        vocabularies: known values of ``message_type``, ``channel`` and ``category``; a value's code is its place.
            Unknown values are missing.

    Raises:
        ValueError: a name is not in the catalog, a column is absent, or a moment has no zone.
    """
    reading = _Reading(stored, decisions, vocabularies)
    matrix = np.empty((len(reading.decided), len(features)), dtype=np.float32)
    for place, name in enumerate(features):
        matrix[:, place] = reading.feature(name)
    return ReadRows(matrix=matrix, features=tuple(features), freshness=reading.freshness())


def stored_needs(features: Sequence[str]) -> tuple[str, ...]:
    """Return the stored features that these features stand on, with the as-of of every view among them.

    Raises:
        ValueError: a name is not in the catalog.
    """
    needed: set[str] = set()
    for name in features:
        declared = _declared(name)
        needed.update(declared.needs if declared.view is None else (name,))
    views = {catalog.by_name()[name].view for name in needed}
    needed.update(as_of for view, as_of in AS_OF.items() if view in views)
    return tuple(feature.name for feature in catalog.stored() if feature.name in needed)


def _declared(name: str) -> Feature:
    declared = catalog.by_name().get(name)
    if declared is None:
        raise ValueError(f"features: {name} is not in the catalog")
    return declared


class _Reading:
    """One call's columns, each converted at most once."""

    def __init__(self, stored: Columns, decisions: Columns, vocabularies: Mapping[str, Sequence[str]]) -> None:
        self._stored = stored
        self._decisions = decisions
        self._vocabularies = vocabularies
        self.decided = _seconds(_column(decisions, "decided_at", "decisions"), "decided_at")
        self._ages: dict[View, Floats] = {}

    def feature(self, name: str) -> Floats:
        declared = _declared(name)
        if declared.view is not None:
            return self._number(name)
        if name in _READERS:
            return _READERS[name](self)
        if name.endswith("_age_hours"):
            return self._age(name.removesuffix("_age_hours") + "_at")
        return self._by_channel(name.removeprefix("channel_"))

    def freshness(self) -> dict[View, tuple[Freshness, ...]]:
        return {view: tuple(_named(age) for age in ages) for view, ages in self._ages.items()}

    def codes(self, values: Sequence[Any], vocabulary: str) -> Floats:
        place = {value: float(code) for code, value in enumerate(self._vocabularies.get(vocabulary, ()))}
        return np.array([place.get(value, math.nan) for value in values], dtype=np.float64)

    def said(self, name: str) -> Sequence[Any]:
        return _column(self._decisions, name, "decisions")

    def top_category(self) -> Floats:
        codes = self.codes(_column(self._stored, "category_top_90d", "stored"), "category")
        return self._usable(codes, View.ENGAGEMENT)

    def hour_angle(self) -> Floats:
        hours = _numbers(self.said("local_hour_of_week"))
        return np.asarray(hours % 24 * (2 * math.pi / 24))

    def hour_match(self) -> Floats:
        angle = self.hour_angle()
        cosine, sine = self._number("activity_day_cos_90d"), self._number("activity_day_sin_90d")
        return np.asarray(np.cos(angle) * cosine + np.sin(angle) * sine)

    def weekend(self) -> Floats:
        hours = _numbers(self.said("local_hour_of_week"))
        return np.where(np.isnan(hours), math.nan, (hours % _HOURS_PER_WEEK >= _SATURDAY).astype(np.float64))

    def season_angle(self) -> Floats:
        days = [_day_of_year(value) for value in self.said("local_date")]
        return np.array(days, dtype=np.float64) * (2 * math.pi / _DAYS_PER_YEAR)

    def _number(self, name: str) -> Floats:
        declared = catalog.by_name()[name]
        if declared.view is None or declared.dtype not in {Dtype.INT, Dtype.FLOAT}:
            raise ValueError(f"features: {name} is not a number; use what is derived from it")
        return self._usable(_numbers(_column(self._stored, name, "stored")), declared.view)

    def _age(self, name: str) -> Floats:
        view = catalog.by_name()[name].view
        hours = (self.decided - _seconds(_column(self._stored, name, "stored"), name)) / _HOUR
        return self._usable(np.maximum(hours, 0.0), view or View.ENGAGEMENT)

    def _by_channel(self, name: str) -> Floats:
        chosen = np.array([str(value) for value in self.said("channel")], dtype=object)
        result = np.full(len(self.decided), math.nan)
        for channel in Channel:
            rows = chosen == channel.value
            if rows.any():
                result[rows] = self._number(of_channel(name, channel))[rows]
        return result

    def _usable(self, values: Floats, view: View) -> Floats:
        if view not in self._ages:
            as_of = _seconds(_column(self._stored, AS_OF[view], "stored"), AS_OF[view])
            self._ages[view] = self.decided - as_of
        return np.where(_is_missing(self._ages[view]), math.nan, values)


_READERS: Mapping[str, Callable[[_Reading], Floats]] = {
    "message_type_code": lambda reading: reading.codes(reading.said("message_type"), "message_type"),
    "channel_code": lambda reading: reading.codes(reading.said("channel"), "channel"),
    "category_top_code": _Reading.top_category,
    "decision_day_cos": lambda reading: np.cos(reading.hour_angle()),
    "decision_day_sin": lambda reading: np.sin(reading.hour_angle()),
    "decision_is_weekend": _Reading.weekend,
    "season_cos": lambda reading: np.cos(reading.season_angle()),
    "season_sin": lambda reading: np.sin(reading.season_angle()),
    "hour_match_90d": _Reading.hour_match,
}


def _is_missing(age_seconds: Floats) -> npt.NDArray[np.bool_]:
    usable = (age_seconds <= STALE_FOR.total_seconds()) & (age_seconds >= -CLOCK_SKEW.total_seconds())
    return np.asarray(~usable)


def _named(age_seconds: float) -> Freshness:
    if _is_missing(np.array([age_seconds]))[0]:
        return Freshness.MISSING
    return Freshness.FRESH if age_seconds <= FRESH_FOR.total_seconds() else Freshness.STALE


def _column(columns: Columns, name: str, what: str) -> Sequence[Any]:
    try:
        return columns[name]  # type: ignore[return-value]
    except KeyError as error:
        raise ValueError(f"{what}: column {name} is needed and absent") from error


def _numbers(values: Sequence[Any]) -> Floats:
    if isinstance(values, pd.Series):
        return values.to_numpy(dtype=np.float64, na_value=math.nan)
    return np.array(values, dtype=np.float64)


def _seconds(values: Sequence[Any], name: str) -> Floats:
    """Return moments as seconds since 1970, NaN where missing."""
    if isinstance(values, pd.Series) and isinstance(values.dtype, pd.DatetimeTZDtype):
        whole = values.dt.as_unit("us").astype("int64").to_numpy() / 1e6
        return np.where(values.isna(), math.nan, whole)
    return np.array([_second(value, name) for value in values], dtype=np.float64)


def _second(value: Any, name: str) -> float:
    if value is None or value is pd.NaT or value != value:  # noqa: PLR0124 (NaN differs from itself)
        return math.nan
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{name}: a moment needs a zone")
        return value.timestamp()
    if isinstance(value, (int, float, np.integer, np.floating)):
        return float(value)
    raise ValueError(f"{name}: expected a moment with a zone or seconds since 1970")


def _day_of_year(value: Any) -> float:
    if value is None or value is pd.NaT:
        return math.nan
    day = date.fromisoformat(value) if isinstance(value, str) else value
    return float(day.timetuple().tm_yday - 1)
