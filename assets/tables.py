"""The columns of every table of the lake, with type and meaning, as the asset pages show them."""

import dagster as dg

from domain.events import EVENT_COLUMNS
from domain.values import Channel
from feature_repo import habit_columns
from feature_repo.engagement import catalog

_TEXT, _MOMENT, _DATE, _NUMBER, _SHARE = "string", "timestamp[us, UTC]", "date", "int64", "float64"

_EVENT = {
    "tenant": (_TEXT, "Whose event it is."),
    "source": (_TEXT, "System that reported it."),
    "event_id": (_TEXT, "The event's id there; with tenant and source the key."),
    "type": (_TEXT, "One of the closed list of event types."),
    "name": (_TEXT, "Name of a custom event."),
    "channel": (_TEXT, "email, sms, push, in_app, web or voice."),
    "occurred_at": (_MOMENT, "When it happened."),
    "received_at": (_MOMENT, "When we heard of it, in real time."),
    "recipient_id": (_TEXT, "Who did it or was meant."),
    "session_id": (_TEXT, "Session it belongs to."),
    "campaign_id": (_TEXT, "Campaign it belongs to."),
    "message_type": (_TEXT, "Type of the message it is about."),
    "variant_id": (_TEXT, "Variant of the message."),
    "decision_id": (_TEXT, "Decision that caused the message."),
    "value_minor": (_NUMBER, "Amount in minor units of the currency; negative for refunds."),
    "currency": (_TEXT, "ISO 4217 code."),
    "category": (_TEXT, "Content category; of a basket the department with the largest spend."),
    "local_hour_of_week": ("int16", "0 to 167; 0 is Monday 00:00 where the recipient was."),
    "local_date": (_DATE, "Date where the recipient was."),
    "properties": (_TEXT, "JSON object."),
    "context": (_TEXT, "JSON object."),
    "attribution": (_TEXT, "JSON object."),
}
_KEY = {
    "tenant": (_TEXT, "Whose recipient it is."),
    "recipient_id": (_TEXT, "Who it is about."),
    "as_of": (_MOMENT, "End of the day; every window ends just before it."),
}
_DECIDED = {
    "tenant": (_TEXT, "Whose message it was."),
    "recipient_id": (_TEXT, "Who was meant."),
    "event_id": (_TEXT, "The notification_sent event."),
    "campaign_id": (_TEXT, "Campaign of the message."),
    "message_type": (_TEXT, "Type of the message."),
    "decided_at": (_MOMENT, "When it was sent."),
}
_TRAINED = {
    "tenant": _DECIDED["tenant"],
    "recipient_id": _DECIDED["recipient_id"],
    "event_id": _DECIDED["event_id"],
    "campaign_id": _DECIDED["campaign_id"],
    "decision_id": (_TEXT, "Decision that caused it, if one did."),
    "message_type": _DECIDED["message_type"],
    "variant_id": (_TEXT, "Variant that was sent."),
    "channel": (_TEXT, "Channel it was sent on."),
    "decided_at": _DECIDED["decided_at"],
    "window_ends_at": (_MOMENT, "Until when, inclusive, a conversion counts."),
    "local_hour_of_week": ("int16", "0 to 167; 0 is Monday 00:00 where the recipient was."),
    "local_date": (_DATE, "Date where the recipient was."),
    "label": ("int8", "1 when a conversion answered it in time, else 0."),
    "is_closed": ("bool", "True: its window has closed."),
}
_JUDGED = {
    **_DECIDED,
    "is_closed": ("bool", "True: its window has closed, so the label is final."),
    "score": (_SHARE, "Probability of a conversion the champion gives, in [0, 1]."),
    "label": ("int8", "1 when a conversion answered it in time, else 0."),
}
_MEMBER = {
    **_KEY,
    "segment": (_TEXT, "Segment the recipient belongs to."),
    "recency_score": (
        _NUMBER,
        "1 to 5, by the time since the last purchase; missing without one, or for a small tenant.",
    ),
    "frequency_score": (_NUMBER, "1 to 5, by the number of purchases in 90 days."),
    "monetary_score": (_NUMBER, "1 to 5, by what was spent in 90 days."),
    "score": (_SHARE, "Mean of the three scores over 5, in [0.2, 1]."),
    "thresholds": (_TEXT, "JSON: the values that divided the tenant's fifths."),
}

_WATCHED = {
    "version": (_TEXT, "Model version that was asked."),
    "day": (_DATE, "UTC day of the decisions, by the tenant's clock."),
    "tenant": (_TEXT, "Whose decisions."),
    "channel": (_TEXT, "Channel they were sent on."),
    "message_type": (_TEXT, "Type of the messages."),
    "decisions": (_NUMBER, "Messages sent whose window has closed."),
    "expected": (_SHARE, "Conversions the version predicted: the sum of its probabilities."),
    "observed": (_NUMBER, "Conversions within the windows."),
}

_SCORED = {
    **_KEY,
    "model": (_TEXT, "Registered model: engagement, lifetime_value, churn or volume."),
    "version": (_TEXT, "Its version, the champion when the row was made."),
    "channel": (_TEXT, "Channel the engagement model was asked about; missing for the others."),
    "score": (_SHARE, "Chance of a conversion; minor units in 30 days; chance of having left; messages a week."),
}

_GROUP = {
    "version": (_TEXT, "Champion that was judged."),
    "attribute": (_TEXT, "What divides people: channel, country, a declared attribute."),
    "value": (_TEXT, "The group."),
    "n": (_NUMBER, "Messages of the hold-out to the group, at least 200."),
    "recipients": (_NUMBER, "Recipients of the group among them."),
    "rate": (_SHARE, "Share that converted."),
    "mean_p": (_SHARE, "Mean probability predicted."),
    "log_loss": (_SHARE, "Nats per message."),
    "observed_expected": (_SHARE, "Conversions over expected ones; missing where there are too few."),
    "low": (_SHARE, "Lower bound of it."),
    "high": (_SHARE, "Upper bound of it."),
    "per_recipient": (_SHARE, "Messages per recipient: the burden."),
    "gap": (_SHARE, "Of the worst-off group of an attribute: mean Pearson residual above the others'."),
    "gap_low": (_SHARE, "Lower bound of it."),
    "gap_high": (_SHARE, "Upper bound of it."),
}

_CLUSTER = {
    **_KEY,
    "cluster": (
        _NUMBER,
        "Group the recipient is in, from 0, the largest first; means the same within one version only.",
    ),
    "chance": (_SHARE, "How likely they are in it, in (0, 1]."),
    "distance": (_SHARE, "From its middle, in standard deviations of the group: root of the mean square."),
    "version": (_TEXT, "Version of clusters that sorted them, the champion when the row was made."),
}

_ANOMALY = {
    "tenant": (_TEXT, "Whose recipient or hour it is."),
    "what": (_TEXT, "recipient: a day too full for them; hour: the tenant left its week."),
    "recipient_id": (_TEXT, "Who it is about; missing for an hour."),
    "at": (_MOMENT, "Start of the day, or of the hour at which the alarm sounded."),
    "events": (_NUMBER, "What was done then of people's own accord."),
    "ordinary": (_SHARE, "What is usual: a day of the recipient, or the median of that hour of the week."),
    "chance": (_SHARE, "Of so many events or more on an ordinary day of the recipient; missing for an hour."),
    "deviation": (_SHARE, "From the ordinary in standard deviations, cut off at 3; missing for a recipient."),
}


_HABIT = {
    **_KEY,
    habit_columns.AS_OF: (_MOMENT, "The same moment, in whole seconds, as it is online."),
    habit_columns.HOURS: (_TEXT, "168 decayed counts of hours with activity, Monday 00:00 first: float16, base64."),
    habit_columns.HOURS_OF_OPENS: (_TEXT, "The same of hours with an open and nothing else."),
    **{habit_columns.answered(each): (_SHARE, f"Decayed messages by {each.value} answered.") for each in Channel},
    **{habit_columns.sent(each): (_SHARE, f"Decayed messages by {each.value}.") for each in Channel},
}


def _schema(columns: dict[str, tuple[str, str]]) -> dg.TableSchema:
    return dg.TableSchema([dg.TableColumn(name, kind, text) for name, (kind, text) in columns.items()])


def _features() -> dict[str, tuple[str, str]]:
    return {
        feature.name: (feature.dtype.value, f"{feature.description} [{feature.unit}]") for feature in catalog.stored()
    }


def _joined(kind: str) -> str:
    """Return a feature's type beside a message: a count may be missing there, when nothing was known yet."""
    return _SHARE if kind == _NUMBER else kind


EVENTS = _schema({name: _EVENT[name] for name in EVENT_COLUMNS})
FEATURES = _schema({**_KEY, **_features(), "created_at": (_MOMENT, "Since when a reader may know the row.")})
TRAINING = _schema({**_TRAINED, **{name: (_joined(kind), text) for name, (kind, text) in _features().items()}})
HOLDOUT = _schema(_JUDGED)
SEGMENTS = _schema(_MEMBER)
LIVE_QUALITY = _schema(_WATCHED)
SCORES = _schema(_SCORED)
GROUPS = _schema(_GROUP)
HABITS = _schema(_HABIT)
CLUSTERS = _schema(_CLUSTER)
ANOMALIES = _schema(_ANOMALY)
