"""Makes the training set: one row per message sent, with features as they were known before it and what came of it.

A row is left out unless its recipient allowed personalization at that moment, and had not refused analytics; every row
left out is counted. Of whom opens might not be tracked then, no feature made from opens is in the row. A row
whose attribution window is still open is marked: it is never trained on. Features end strictly before the message.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cache

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from adapters.feature_store import FeatureStore
from adapters.lake import Lake, Written
from adapters.postgres.learning_facts import Facts
from assets.steps import event_days
from domain import consent
from domain.attribution import DEFAULT_WINDOWS
from domain.events import EventType
from domain.legal import tracking
from domain.legal.rules import Rule
from domain.values import Channel, MessageClass, Purpose, Reason
from feature_repo.engagement import at_read, catalog
from feature_repo.engagement.catalog import View
from models.engagement import dataset, spec

TABLE = "out_engagement_training_set"
DECIDED_AT, ENDS_AT = "decided_at", "window_ends_at"
ENDS_PROPERTY = "attribution_ends_at"
"""Property of a message sent: when its campaign ends; until then, inclusive, a conversion counts."""


Report = Callable[[str], object]
_BEFORE = "joined_at"
_STEP = pd.Timedelta(1, unit="us")
_ORDER = ["tenant", DECIDED_AT, "recipient_id", "event_id"]
COLUMNS = (
    "tenant",
    "recipient_id",
    "event_id",
    "campaign_id",
    "decision_id",
    "message_type",
    "variant_id",
    "channel",
    DECIDED_AT,
    ENDS_AT,
    "local_hour_of_week",
    "local_date",
    "label",
    "is_closed",
)
"""What a row holds besides the stored features."""
_SENT = (
    "tenant",
    "recipient_id",
    "event_id",
    "campaign_id",
    "decision_id",
    "message_type",
    "variant_id",
    "channel",
    "occurred_at",
    "local_hour_of_week",
    "local_date",
    "properties",
)
_CONVERTED = ("tenant", "recipient_id", "campaign_id", "decision_id", "occurred_at")


@dataclass(frozen=True)
class TrainingRows:
    """The rows, and how many messages were left out for which reason.

    ``not_to_count`` are those which no conversion could ever name. ``opens_withheld`` counts rows that stay, without
    what is made from opens.
    """

    rows: pd.DataFrame
    sent: int
    without_consent: int
    not_to_count: int
    analytics_refused: int = 0
    opens_withheld: int = 0

    @property
    def counts(self) -> dict[str, float]:
        """How many messages there were, and what became of them."""
        return {
            "messages_sent": self.sent,
            "left_out_without_consent": self.without_consent,
            "left_out_analytics_refused": self.analytics_refused,
            "left_out_not_to_count": self.not_to_count,
            "opens_withheld": self.opens_withheld,
            "window_open": int((~self.rows["is_closed"].astype(bool)).sum()),
            "answered": int(self.rows[spec.LABEL].sum()),
            "without_features": int(self.rows[at_read.AS_OF[View.ENGAGEMENT]].isna().sum()),
        }


def training_rows(
    lake: Lake,
    store: FeatureStore,
    *,
    facts: Facts,
    nows: Mapping[str, datetime],
    report: Report,
) -> TrainingRows:
    """Build the training set from every checked day of events.

    Args:
        lake: holds the event table.
        store: joins features as of a moment.
        facts: consent histories, and attribution windows of message types.
        nows: the tenants' clocks; what a tenant has not reached has not happened.
        report: told how far it got.

    Raises:
        Quarantined: a day of events broke its contract.
        NotEnoughData: there is nothing to learn from yet.
    """
    lake.require_checked(event_days.TABLE)
    sends = _events(lake, EventType.NOTIFICATION_SENT, _SENT, nows).rename(columns={"occurred_at": DECIDED_AT})
    sends[ENDS_AT] = window_ends(sends, facts.windows)
    agreed = sends[may_learn(sends, facts.histories)].drop(columns="properties")
    allowed = agreed[~refused_analytics(agreed, facts.histories)]
    conversions = _events(lake, EventType.CONVERTED, _CONVERTED, nows)
    labelled = labels(allowed, conversions, cuts=_cuts(lake, nows))
    if labelled.empty:
        told = f"messages with consent to personalization and a way to be answered, of {len(sends)} sent"
        raise spec.NotEnoughData(told, have=0, need=spec.MIN_ROWS)
    final = int(labelled["is_closed"].sum())
    report(f"{TABLE}: {len(sends)} messages, {len(allowed)} with consent, {final} with a closed window")
    rows = with_features(labelled, store).sort_values(_ORDER, ignore_index=True)
    withheld = ~may_use_opens(rows, facts)
    return TrainingRows(
        rows=without_opens(rows, withheld),
        sent=len(sends),
        without_consent=len(sends) - len(agreed),
        analytics_refused=len(agreed) - len(allowed),
        not_to_count=len(allowed) - len(labelled),
        opens_withheld=int(withheld.sum()),
    )


def write(lake: Lake, made: TrainingRows) -> Written:
    """Keep the training set: keys, labels and stored features, each in its own type."""
    return lake.write(TABLE, pa.Table.from_pandas(made.rows[schema().names], schema=schema(), preserve_index=False))


@cache
def schema() -> pa.Schema:
    """Return the types of the training set; counts may be missing there, when nothing was known yet."""
    moment = pa.timestamp("us", tz="UTC")
    typed = {
        DECIDED_AT: moment,
        ENDS_AT: moment,
        "local_hour_of_week": pa.int16(),
        "local_date": pa.date32(),
        spec.LABEL: pa.int8(),
        "is_closed": pa.bool_(),
    }
    features = [(feature.name, _type_of(feature)) for feature in catalog.stored()]
    return pa.schema([(name, typed.get(name, pa.string())) for name in COLUMNS] + features)


def _type_of(feature: catalog.Feature) -> pa.DataType:
    if feature.dtype is catalog.Dtype.MOMENT:
        return pa.timestamp("us", tz="UTC")
    return pa.string() if feature.dtype is catalog.Dtype.TEXT else pa.float64()


def labels(sends: pd.DataFrame, conversions: pd.DataFrame, *, cuts: Mapping[str, datetime]) -> pd.DataFrame:
    """Label the messages, and mark those whose label is final; each tenant's answers are known up to its own cut."""
    parts = [
        dataset.label(mine, conversions[conversions["tenant"] == tenant], cut=cuts[str(tenant)], keep_open=True)
        for tenant, mine in sends.groupby("tenant", sort=True)
    ]
    return pd.concat(parts, ignore_index=True) if parts else sends.assign(**{spec.LABEL: pd.Series(dtype="int8")})


def with_features(rows: pd.DataFrame, store: FeatureStore) -> pd.DataFrame:
    """Join the features known strictly before each row's moment: Feast's own join includes the moment."""
    before = rows[DECIDED_AT] - _STEP
    return store.historical(rows.assign(**{_BEFORE: before}), at=_BEFORE).drop(columns=_BEFORE)


Histories = Mapping[tuple[str, str], Sequence[consent.ConsentState]]


def may_learn(sends: pd.DataFrame, histories: Histories) -> pd.Series:
    """Tell for each message whether its recipient allowed personalization at its moment, by the rule of decisions."""
    return _each(sends, histories, Purpose.PERSONALIZATION, lambda reason: reason is None)


def refused_analytics(sends: pd.DataFrame, histories: Histories) -> pd.Series:
    """Tell for each message whether its recipient had ended analytics by its moment; silence is no refusal."""
    return _each(sends, histories, Purpose.ANALYTICS, lambda reason: reason not in (None, Reason.CONSENT_MISSING))


def _each(
    sends: pd.DataFrame, histories: Histories, purpose: Purpose, holds: Callable[[Reason | None], bool]
) -> pd.Series:
    verdicts = [
        holds(consent.refusal(states, purpose=purpose, channel=channel, now=moment))
        for _, channel, moment, states in _standing(sends, histories)
    ]
    return pd.Series(verdicts, index=sends.index, dtype=bool)


def may_use_opens(sends: pd.DataFrame, facts: Facts) -> pd.Series:
    """Tell for each message whether its recipient's opens might be used at its moment, by the rule of decisions."""
    verdicts = []
    for who, _, moment, states in _standing(sends, facts.histories):
        rule = _demanding(facts, who)
        verdicts.append(tracking.verdict(rule, states, channel=Channel.EMAIL, now=moment).is_allowed)
    return pd.Series(verdicts, index=sends.index, dtype=bool)


def _demanding(facts: Facts, who: tuple[str, str]) -> Rule | None:
    """Return the rule that demands a consent to the tracking of e-mail; such rules make no difference of class."""
    if facts.rules is None:
        return None
    place = facts.place(who)
    return tracking.demanding(facts.rules, place, message_class=MessageClass.MARKETING, channel=Channel.EMAIL)


def _standing(
    sends: pd.DataFrame, histories: Histories
) -> Iterator[tuple[tuple[str, str], Channel, datetime, tuple[consent.ConsentState, ...]]]:
    """Yield of each message its recipient, channel and moment, and what the recipient had said by then."""
    for row in sends[["tenant", "recipient_id", "channel", DECIDED_AT]].itertuples(index=False):
        who, moment = (row[0], row[1]), row[3].to_pydatetime()
        yield who, Channel(row[2]), moment, consent.as_of(histories.get(who, ()), moment)


def without_opens(rows: pd.DataFrame, withheld: pd.Series) -> pd.DataFrame:
    """Return the rows with every stored feature that is made from opens missing where it is withheld."""
    names = [name for name in rows.columns if name in catalog.of_opens()]
    return rows.assign(**{name: rows[name].mask(withheld) for name in names})


def window_ends(sends: pd.DataFrame, windows: Mapping[tuple[str, str], timedelta]) -> pd.Series:
    """Return until when a conversion counts: the campaign's own end, else the type's window, else the channel's."""
    ends = [
        _own_end(properties) or decided.to_pydatetime() + windows.get((tenant, kind), DEFAULT_WINDOWS[Channel(channel)])
        for tenant, kind, channel, decided, properties in zip(
            sends["tenant"],
            sends["message_type"],
            sends["channel"],
            sends[DECIDED_AT],
            sends["properties"],
            strict=True,
        )
    ]
    return pd.Series(ends, index=sends.index, dtype=pd.DatetimeTZDtype("us", "UTC"))


def _own_end(properties: str | None) -> datetime | None:
    """Return the end a message names, or None when it names none that is a moment."""
    named = json.loads(properties or "{}").get(ENDS_PROPERTY)
    if not isinstance(named, str):
        return None
    try:
        end = datetime.fromisoformat(named)
    except ValueError:
        return None
    return end.astimezone(UTC) if end.tzinfo is not None else None


def _events(lake: Lake, kind: EventType, columns: tuple[str, ...], nows: Mapping[str, datetime]) -> pd.DataFrame:
    found: pd.DataFrame = lake.select(
        event_days.TABLE, columns=columns, where=pads.field("type") == pa.scalar(kind.value)
    ).to_pandas()
    moments = found["tenant"].map(dict(nows)).astype(pd.DatetimeTZDtype("us", "UTC"))
    return found[found["occurred_at"] <= moments].reset_index(drop=True)


def _cuts(lake: Lake, nows: Mapping[str, datetime]) -> dict[str, datetime]:
    """Return up to when each tenant's answers are known: the end of the newest day, or the tenant's clock."""
    last = lake.days(event_days.TABLE)[-1]
    end = datetime.combine(last + timedelta(days=1), time.min, UTC)
    return {tenant: min(now, end) for tenant, now in nows.items()}
