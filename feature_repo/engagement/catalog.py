"""The catalog of engagement features: every feature is declared once and listed here.

Table schemas, Feast views, documents and the computation itself are read from this list, so a feature cannot
exist in one place and be missing or named differently in another.
"""

from collections.abc import Mapping
from functools import cache

from domain.values import Purpose
from feature_repo.engagement import activity_features, delivery_features, read_features
from feature_repo.engagement.activity_features import ORGANIC
from feature_repo.engagement.feature import KEYS, LOOKBACK_DAYS, WINDOWS_DAYS, Dtype, Feature, Kind, View
from feature_repo.engagement.measures import AsOf, Last

__all__ = [  # read by mypy: the catalog's words may be imported from here
    "KEYS",
    "LOOKBACK_DAYS",
    "ORGANIC",
    "WINDOWS_DAYS",
    "Dtype",
    "Feature",
    "Kind",
    "View",
    "at_read_features",
    "by_name",
    "catalog",
    "columns",
    "of_opens",
    "stored",
]


@cache
def catalog() -> tuple[Feature, ...]:
    """Return every feature: the stored ones view by view, then those made when read."""
    stored_ones = (
        _as_of(View.ENGAGEMENT, "engagement_as_of"),
        *activity_features.declared(),
        _as_of(View.DELIVERY, "delivery_as_of"),
        *delivery_features.declared(),
    )
    moments = tuple(feature for feature in stored_ones if isinstance(feature.measure, Last))
    return (*stored_ones, *read_features.declared(moments))


def stored(view: View | None = None) -> tuple[Feature, ...]:
    """Return the features that tables and Feast hold, of one view or of all, in column order."""
    return tuple(f for f in catalog() if f.view is not None and view in {None, f.view})


def at_read_features() -> tuple[Feature, ...]:
    """Return the contextual and derived features, which exist only in the moment of a decision."""
    return tuple(f for f in catalog() if f.view is None)


@cache
def by_name() -> Mapping[str, Feature]:
    """Return every feature by its name."""
    return {feature.name: feature for feature in catalog()}


@cache
def of_opens() -> frozenset[str]:
    """Return the names of the stored features that are made from opens, usable only where tracking them is allowed."""
    return frozenset(feature.name for feature in stored() if feature.purpose is Purpose.OPEN_TRACKING)


def columns() -> tuple[str, ...]:
    """Return the columns of a feature table in order: its key, then every stored feature."""
    return (*KEYS, *(feature.name for feature in stored()))


def _as_of(view: View, name: str) -> Feature:
    what = f"Moment the {view.value} row describes; its age decides whether the row may be used."
    return Feature(name, Dtype.MOMENT, Kind.RECIPIENT, "UTC, whole seconds", what, view, AsOf())
