"""Features that exist only in the moment of a decision: its context, and what follows from stored features.

They are declared here and computed in ``at_read.py``; no table or store ever holds them.
"""

from collections.abc import Iterable, Iterator

from domain.values import Channel, Purpose
from feature_repo.engagement.delivery_features import CHANNEL_RATES
from feature_repo.engagement.feature import Dtype, Feature, Kind

_CONTEXT = (
    ("message_type_code", "code", "Message type as its place in the model's vocabulary; missing when unknown."),
    ("channel_code", "code", "Channel as its place in the model's vocabulary; missing when unknown."),
    ("decision_day_cos", "in [-1, 1]", "Cosine of the decision's local hour of day, period 24 h."),
    ("decision_day_sin", "in [-1, 1]", "Sine of the decision's local hour of day, period 24 h."),
    ("decision_is_weekend", "0 or 1", "Whether the decision falls on a local Saturday or Sunday."),
    ("season_cos", "in [-1, 1]", "Cosine of the decision's local day of the year."),
    ("season_sin", "in [-1, 1]", "Sine of the decision's local day of the year."),
)
_RHYTHM = ("activity_day_cos_90d", "activity_day_sin_90d")
_BY_CHANNEL = ("sent_count_7d", "sent_count_30d", "sent_count_90d", *(f"{rate}_90d" for rate in CHANNEL_RATES))


def declared(moments: Iterable[Feature]) -> Iterator[Feature]:
    """Declare them in order; ``moments`` are the stored features that ages are made from."""
    for name, unit, description in _CONTEXT:
        yield Feature(name, Dtype.FLOAT, Kind.CONTEXTUAL, unit, description)
    for feature in moments:
        name = feature.name.removesuffix("_at") + "_age_hours"
        what = f"Hours from {feature.name} to the decision; missing when it never happened."
        yield Feature(name, Dtype.FLOAT, Kind.DERIVED, "hours", what, purpose=feature.purpose, needs=(feature.name,))
    for name in _BY_CHANNEL:
        what = f"{name} of the decision's channel alone; missing without a channel."
        unit = "fraction" if "rate" in name else "events"
        purpose = Purpose.OPEN_TRACKING if name.startswith("open") else Purpose.PERSONALIZATION
        needs = tuple(of_channel(name, channel) for channel in Channel)
        yield Feature(f"channel_{name}", Dtype.FLOAT, Kind.DERIVED, unit, what, purpose=purpose, needs=needs)
    what = "Top content category as its place in the model's vocabulary; missing when unknown."
    yield Feature("category_top_code", Dtype.FLOAT, Kind.DERIVED, "code", what, needs=("category_top_90d",))
    what = "How well the decision's local hour of day fits the recipient's activity, 1 for always, -1 for never."
    yield Feature("hour_match_90d", Dtype.FLOAT, Kind.DERIVED, "in [-1, 1]", what, needs=_RHYTHM)


def of_channel(name: str, channel: Channel) -> str:
    """Return the name of a windowed feature's variant for one channel: the channel stands before the window."""
    event, window = name.rsplit("_", 1)
    return f"{event}_{channel.value}_{window}"
