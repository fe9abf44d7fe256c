"""Features of the view ``recipient_engagement``: what recipients do of their own accord.

Answers to our messages are kept out on purpose: they belong to ``recipient_delivery``.
"""

from collections.abc import Iterator

from domain.events import EventType
from feature_repo.engagement.feature import (
    LOOKBACK_DAYS,
    WINDOWS_DAYS,
    Dtype,
    Feature,
    Kind,
    View,
    behaviour,
    counts,
    last,
    word,
)
from feature_repo.engagement.measures import (
    CategoryEntropy,
    Column,
    Count,
    Distinct,
    Largest,
    Mean,
    Measure,
    Rows,
    Spacing,
    TopCategory,
    TopCategoryShare,
    Total,
)

ORGANIC = (
    EventType.APP_OPENED,
    EventType.PAGE_VIEWED,
    EventType.SEARCH_PERFORMED,
    EventType.LOGIN,
    EventType.PURCHASE,
    EventType.ACTION_COMPLETED,
    EventType.FORM_SUBMITTED,
    EventType.FEEDBACK,
)
"""Events that count as activity."""

_RARE_ACTS = (EventType.FORM_SUBMITTED, EventType.FEEDBACK)
_PURCHASE = Rows(frozenset({EventType.PURCHASE}))
_COUPON_PURCHASE = Rows(frozenset({EventType.PURCHASE}), with_coupon=True)
_ACTIVITY = Rows(frozenset(ORGANIC))
_CENTS = "minor units of the tenant's currency"


def declared() -> Iterator[Feature]:
    """Declare the view's features in column order."""
    yield from _activity()
    yield from _purchases()
    yield from _coupons()
    yield from _habits()
    yield from _categories()


def _act(name: str, days: int, unit: str, description: str, measure: Measure, dtype: Dtype = Dtype.INT) -> Feature:
    return behaviour(name, days, unit, description, measure, dtype=dtype, view=View.ENGAGEMENT)


def _activity() -> Iterator[Feature]:
    frequent = tuple(event for event in ORGANIC if event not in _RARE_ACTS)
    yield from counts(View.ENGAGEMENT, frequent, WINDOWS_DAYS)
    yield from counts(View.ENGAGEMENT, _RARE_ACTS, (LOOKBACK_DAYS,))
    for days in WINDOWS_DAYS:
        what = f"Everything the recipient did of their own accord in {days} days."
        yield _act("activity_count", days, "events", what, Count(_ACTIVITY, days))
    for days in WINDOWS_DAYS[1:]:
        what = f"Local days with any activity in {days} days."
        yield _act("active_days_count", days, "days", what, Distinct(_ACTIVITY, days, "local_date"))
    yield last(View.ENGAGEMENT, "active", _ACTIVITY, "activity")
    for event in (EventType.APP_OPENED, EventType.PAGE_VIEWED, EventType.LOGIN, EventType.PURCHASE):
        yield last(View.ENGAGEMENT, word(event), Rows(frozenset({event})), f"{event.value} event")


def _purchases() -> Iterator[Feature]:
    for days in WINDOWS_DAYS:
        what = f"Value of purchases in {days} days, refunds negative."
        yield _act("purchase_value_cents", days, _CENTS, what, Total(_PURCHASE, days, Column.VALUE_CENTS))
    for name, unit, what, measure in (
        ("purchase_value_mean_cents", _CENTS, "Mean value of a purchase", Mean(_PURCHASE, 90, Column.VALUE_CENTS)),
        ("purchase_value_max_cents", _CENTS, "Largest purchase", Largest(_PURCHASE, 90, Column.VALUE_CENTS)),
        ("purchase_interval_mean_hours", "hours", "Mean time between purchases", Spacing(_PURCHASE, 90)),
    ):
        yield _act(name, 90, unit, f"{what} in 90 days.", measure, Dtype.FLOAT)


def _coupons() -> Iterator[Feature]:
    for days in WINDOWS_DAYS[1:]:
        what = f"Purchases paid in part by coupon in {days} days."
        yield _act("purchase_with_coupon_count", days, "events", what, Count(_COUPON_PURCHASE, days))
    for days in WINDOWS_DAYS[2:]:
        what = f"Value of coupons redeemed in {days} days."
        yield _act("purchase_coupon_value_cents", days, _CENTS, what, Total(_PURCHASE, days, Column.COUPON_CENTS))
        what = f"Share of purchases paid in part by coupon in {days} days."
        share = Mean(_PURCHASE, days, Column.HAS_COUPON)
        yield _act("purchase_with_coupon_rate", days, "fraction", what, share, Dtype.FLOAT)
    yield last(View.ENGAGEMENT, "purchase_with_coupon", _COUPON_PURCHASE, "purchase paid in part by coupon")


def _habits() -> Iterator[Feature]:
    for name, column, what in (
        ("activity_day_cos", Column.DAY_COS, "Mean cosine of the local hour of day (period 24 h) of activity"),
        ("activity_day_sin", Column.DAY_SIN, "Mean sine of the local hour of day (period 24 h) of activity"),
        ("activity_week_cos", Column.WEEK_COS, "Mean cosine of the local hour of week (period 168 h) of activity"),
        ("activity_week_sin", Column.WEEK_SIN, "Mean sine of the local hour of week (period 168 h) of activity"),
        ("activity_night_rate", Column.IS_NIGHT, "Share of activity between 22:00 and 06:00"),
        ("activity_morning_rate", Column.IS_MORNING, "Share of activity between 06:00 and 12:00"),
        ("activity_afternoon_rate", Column.IS_AFTERNOON, "Share of activity between 12:00 and 17:00"),
        ("activity_evening_rate", Column.IS_EVENING, "Share of activity between 17:00 and 22:00"),
        ("activity_weekend_rate", Column.IS_WEEKEND, "Share of activity on Saturday and Sunday"),
    ):
        unit = "fraction" if name.endswith("rate") else "in [-1, 1]"
        yield _habit(f"{name}_90d", Dtype.FLOAT, unit, f"{what} in 90 days, local time.", Mean(_ACTIVITY, 90, column))


def _categories() -> Iterator[Feature]:
    for days in (30, 90):
        measure = Distinct(_ACTIVITY, days, "category")
        what = f"Different content categories in {days} days."
        yield _habit(f"category_count_{days}d", Dtype.INT, "categories", what, measure, days)
    yield _habit("category_top_90d", Dtype.TEXT, "name", "Content category with most activity.", TopCategory(90))
    yield _habit("category_top_rate_90d", Dtype.FLOAT, "fraction", "Share of the top category.", TopCategoryShare(90))
    yield _habit("category_entropy_90d", Dtype.FLOAT, "nats", "Spread over categories.", CategoryEntropy(90))


def _habit(name: str, dtype: Dtype, unit: str, description: str, measure: Measure, days: int = 90) -> Feature:
    return Feature(name, dtype, Kind.RECIPIENT, unit, description, View.ENGAGEMENT, measure, days)
