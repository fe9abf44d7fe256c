"""What can be measured over one recipient's events in one window: the vocabulary of the feature catalog.

Each measure is plain data; ``transform.py`` is the only place that turns one into a computation.
"""

from dataclasses import dataclass
from enum import StrEnum

from domain.events import EventType
from domain.values import Channel


class Column(StrEnum):
    """A number the transform prepares on every row before aggregating; flags are 0 or 1."""

    VALUE_CENTS = "value_cents"
    COUPON_CENTS = "coupon_cents"
    HAS_COUPON = "has_coupon"
    HAS_OPENED = "has_opened"
    HAS_CLICKED = "has_clicked"
    HAS_DISMISSED = "has_dismissed"
    HAS_CONVERTED = "has_converted"
    DAY_COS = "day_cos"
    DAY_SIN = "day_sin"
    WEEK_COS = "week_cos"
    WEEK_SIN = "week_sin"
    IS_NIGHT = "is_night"
    IS_MORNING = "is_morning"
    IS_AFTERNOON = "is_afternoon"
    IS_EVENING = "is_evening"
    IS_WEEKEND = "is_weekend"


@dataclass(frozen=True)
class Rows:
    """Which events count: of these types and, where one is named, on this channel."""

    types: frozenset[EventType]
    channel: Channel | None = None
    with_coupon: bool = False


@dataclass(frozen=True)
class AsOf:
    """The moment the row describes, so that a reader can tell how old it is."""


@dataclass(frozen=True)
class Count:
    """Number of events; 0 when there are none."""

    rows: Rows
    days: int


@dataclass(frozen=True)
class Total:
    """Sum of a column; 0 when there are no events."""

    rows: Rows
    days: int
    column: Column


@dataclass(frozen=True)
class Mean:
    """Mean of a column, a fraction for a flag; missing when there are no events, never 0."""

    rows: Rows
    days: int
    column: Column


@dataclass(frozen=True)
class Largest:
    """Largest value of a column; missing when there are no events."""

    rows: Rows
    days: int
    column: Column


@dataclass(frozen=True)
class Distinct:
    """Number of different values of an event column (``local_date``, ``campaign_id``, ``category``)."""

    rows: Rows
    days: int
    column: str


@dataclass(frozen=True)
class Last:
    """Moment of the newest event within the longest window, whole seconds; missing when there is none."""

    rows: Rows


@dataclass(frozen=True)
class Spacing:
    """Mean hours between consecutive events; missing below two events."""

    rows: Rows
    days: int


@dataclass(frozen=True)
class TopCategory:
    """The content category with most events, the alphabetically first of equals; missing without any."""

    days: int


@dataclass(frozen=True)
class TopCategoryShare:
    """Share of the top category among events that have one; missing without any."""

    days: int


@dataclass(frozen=True)
class CategoryEntropy:
    """Shannon entropy of the category shares in nats; 0 for one category, missing without any."""

    days: int


CategoryMeasure = TopCategory | TopCategoryShare | CategoryEntropy
RowMeasure = Count | Total | Mean | Largest | Distinct | Last | Spacing
Measure = AsOf | RowMeasure | CategoryMeasure
