"""From events to habits: hours at which recipients were there, and what became of each message to them.

Only recipients who allow personalization now, and have not ended analytics, are counted. An open counts only where it
might be used when it came and may be used now; of whom opens are barred, no message counts, for nobody can say which
were answered. Activity within the hour after a message is left out: it tells when the message was sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads

from adapters.lake import Lake, Written
from adapters.postgres.learning_facts import Facts
from assets.steps import departures, event_days, training_rows
from assets.steps.training_rows import DECIDED_AT
from domain import consent
from domain.events import EventType
from domain.values import Channel, Purpose, Reason
from feature_repo import habit_columns as columns
from feature_repo.engagement.catalog import ORGANIC
from models.channel_value import dataset as by_channel
from models.channel_value.spec import ANSWER_DAYS, CHANNELS
from models.send_time import dataset as by_hour
from models.send_time import packed
from models.send_time.spec import ANSWER_HOURS, Floats

TABLE = columns.TABLE
ANSWERS = (EventType.OPENED, EventType.CLICKED, EventType.CONVERTED)
_PRESENT = frozenset({*ORGANIC, *ANSWERS})
_READ = ("tenant", "recipient_id", "type", "channel", "occurred_at", "campaign_id", "decision_id", "local_hour_of_week")
_WHO = ["tenant", "recipient_id"]
_SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True)
class Habits:
    """What recipients did.

    Attributes:
        who: ``tenant`` and ``recipient_id`` of n recipients.
        hours: one row for each hour with activity: ``place`` in ``who``, ``hour_of_week``, ``age_days``, ``end_days``,
            and ``of_open`` where there was an open and nothing else.
        messages: one row for each message whose answer is known: ``place``, ``channel`` in ``CHANNELS``, ``age_days``,
            ``end_days``, ``answered``, ``left`` (who unsubscribed or complained by it).
        sends: the same messages and those of whom opens are barred, for nobody leaves by an open: ``place``,
            ``channel``, ``age_days``, ``end_days``, ``left`` (who left its channel by it, as ``departures`` has it).

    ``age_days`` count back from the tenant's clock, ``end_days`` from its newest event.
    """

    who: pd.DataFrame
    hours: pd.DataFrame
    messages: pd.DataFrame
    sends: pd.DataFrame


def gather(lake: Lake, facts: Facts, nows: Mapping[str, datetime]) -> Habits:
    """Return the habits of everybody who may be learned from, by each tenant's clock.

    Raises:
        Quarantined: a day of events broke its contract.
        NoSuchTable: there are no events.
    """
    lake.require_checked(event_days.TABLE)
    events = _events(lake, nows)
    who = allowed(events[_WHO].drop_duplicates().sort_values(_WHO, ignore_index=True), facts, nows)
    events = events.merge(who.assign(place=np.arange(len(who))), on=_WHO)
    ends = events.groupby("tenant")["occurred_at"].transform("max")
    moments = events["tenant"].map(dict(nows)).astype(pd.DatetimeTZDtype("us", "UTC"))
    aged = events.assign(age_days=_days(moments - events["occurred_at"]), end_days=_days(ends - events["occurred_at"]))
    usable = aged[~aged["type"].eq(EventType.OPENED) | _may_use_opens(aged, facts, nows)]
    sends = _learned(aged, facts)
    left = departures.left(aged, who, facts).reindex(sends.index)
    return Habits(who[_WHO], _hours(usable), _messages(sends, usable, facts, nows), _ordered_sends(sends, left=left))


def allowed(who: pd.DataFrame, facts: Facts, nows: Mapping[str, datetime]) -> pd.DataFrame:
    """Return those recipients who allow personalization on a channel now and have not ended analytics there."""
    held = [_allows(facts, (row[0], row[1]), nows[row[0]]) for row in who[_WHO].itertuples(index=False)]
    return who[np.array(held, dtype=bool)].reset_index(drop=True)


def _allows(facts: Facts, who: tuple[str, str], now: datetime) -> bool:
    states = consent.as_of(facts.histories.get(who, ()), now)
    silent = (None, Reason.CONSENT_MISSING)
    return any(
        consent.refusal(states, purpose=Purpose.PERSONALIZATION, channel=channel, now=now) is None
        and consent.refusal(states, purpose=Purpose.ANALYTICS, channel=channel, now=now) in silent
        for channel in (Channel if states else ())
    )


def _events(lake: Lake, nows: Mapping[str, datetime]) -> pd.DataFrame:
    kinds = [*_PRESENT, EventType.NOTIFICATION_SENT, *departures.LEAVING]
    where = pads.field("type").isin([kind.value for kind in kinds])
    found: pd.DataFrame = lake.select(event_days.TABLE, columns=_READ, where=where).to_pandas()
    moments = found["tenant"].map(dict(nows)).astype(pd.DatetimeTZDtype("us", "UTC"))
    known: pd.DataFrame = found[found["occurred_at"] <= moments].reset_index(drop=True)
    return known


def _may_use_opens(events: pd.DataFrame, facts: Facts, nows: Mapping[str, datetime]) -> "pd.Series[bool]":
    """Tell of each open and message sent whether opens might be used at its moment and may be now; of others True."""
    asked = events[events["type"].isin([EventType.OPENED, EventType.NOTIFICATION_SENT])]
    then = training_rows.may_use_opens(asked.rename(columns={"occurred_at": DECIDED_AT}), facts)
    people = asked.drop_duplicates("place")
    moments = people["tenant"].map(dict(nows)).astype(pd.DatetimeTZDtype("us", "UTC"))
    now = training_rows.may_use_opens(people.assign(**{DECIDED_AT: moments}), facts)
    today = asked["place"].map(dict(zip(people["place"], now, strict=True)))
    return (then & today.astype(bool)).reindex(events.index, fill_value=True)


def _hours(events: pd.DataFrame) -> pd.DataFrame:
    present = events[events["type"].isin(_PRESENT) & events["local_hour_of_week"].notna()].sort_values("occurred_at")
    sends = events.loc[events["type"].eq(EventType.NOTIFICATION_SENT), ["place", "occurred_at"]]
    sends = sends.assign(sent_at=sends["occurred_at"]).sort_values("occurred_at")
    near = pd.Timedelta(hours=ANSWER_HOURS)
    joined = pd.merge_asof(present, sends, on="occurred_at", by="place", tolerance=near)
    own = joined[joined["sent_at"].isna()]
    own = own.assign(of_open=own["type"].eq(EventType.OPENED), hour=own["occurred_at"].dt.floor("h"))
    # Of one hour the activity that stands on no open is kept.
    own = own.sort_values(["place", "hour", "of_open"]).drop_duplicates(["place", "hour"])
    own = own.assign(hour_of_week=own["local_hour_of_week"].astype("int64"))
    return own[["place", "hour_of_week", "age_days", "end_days", "of_open"]].reset_index(drop=True)


def _learned(events: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Return the messages whose answer is known and that may be learned from."""
    sends = events[events["type"].eq(EventType.NOTIFICATION_SENT) & (events["end_days"] >= ANSWER_DAYS)]
    asked = sends.rename(columns={"occurred_at": DECIDED_AT})
    learned = training_rows.may_learn(asked, facts.histories) & ~training_rows.refused_analytics(asked, facts.histories)
    return sends[learned]


def _messages(sends: pd.DataFrame, usable: pd.DataFrame, facts: Facts, nows: Mapping[str, datetime]) -> pd.DataFrame:
    sends = sends[_may_use_opens(sends, facts, nows)]
    answered = _followed(sends, usable[usable["type"].isin(ANSWERS)])
    left = _followed(sends, usable[usable["type"].isin(departures.LEAVING)])
    return _ordered_sends(sends, answered=answered, left=left)


def _ordered_sends(sends: pd.DataFrame, **came_of: "pd.Series[float]") -> pd.DataFrame:
    """Return one row for each message with what came of it, those of one recipient together, the earliest first."""
    channel = sends["channel"].map({name: place for place, name in enumerate(CHANNELS)}).astype("int64")
    made = sends[["place", "age_days", "end_days"]].assign(channel=channel, **came_of)
    return made.sort_values(["place", "end_days", "channel"], ascending=[True, False, True], ignore_index=True)


def _followed(sends: pd.DataFrame, answers: pd.DataFrame) -> "pd.Series[float]":
    """Return 1.0 for each message that one of the answers is to, within ``ANSWER_DAYS``: by decision, else campaign."""
    pairs = sends.assign(key=_key(sends), row=sends.index)[["place", "key", "row", "occurred_at"]].merge(
        answers.assign(key=_key(answers))[["place", "key", "occurred_at"]], on=["place", "key"], suffixes=("", "_then")
    )
    since = _days(pairs["occurred_at_then"] - pairs["occurred_at"])
    hit = pairs.loc[(since >= 0) & (since <= ANSWER_DAYS), "row"].unique()
    return pd.Series(sends.index.isin(hit).astype(float), index=sends.index)


def _days(apart: pd.Series) -> "pd.Series[float]":
    days: pd.Series[float] = apart.dt.total_seconds() / _SECONDS_A_DAY
    return days


def _key(events: pd.DataFrame) -> "pd.Series[str]":
    """Return what an answer shares with its message: the decision, else the campaign, else only the channel."""
    decision, campaign, channel = (
        prefix + events[name].astype("string")
        for prefix, name in (("d", "decision_id"), ("c", "campaign_id"), ("on", "channel"))
    )
    return decision.fillna(campaign).fillna(channel).fillna("")


def rows(habits: Habits, nows: Mapping[str, datetime]) -> pd.DataFrame:
    """Return one row for each recipient: key, ``as_of`` and the columns of the view, decayed to the tenant's clock."""
    people = len(habits.who)
    as_of = habits.who["tenant"].map(dict(nows)).astype(pd.DatetimeTZDtype("us", "UTC"))
    made = habits.who.assign(as_of=as_of, **{columns.AS_OF: as_of.dt.floor("s")})
    for name, mine in ((columns.HOURS, ~habits.hours["of_open"]), (columns.HOURS_OF_OPENS, habits.hours["of_open"])):
        counts = hour_counts(habits.hours[mine], "age_days", people)
        made[name] = [packed.to_text(each) for each in counts]
    answered, sent = channel_counts(habits.messages, "age_days", people)
    for place, name in enumerate(CHANNELS):
        made[columns.answered(Channel(name))] = answered[:, place]
        made[columns.sent(Channel(name))] = sent[:, place]
    return made


def hour_counts(hours: pd.DataFrame, age: str, people: int) -> Floats:
    """Return decayed hours with activity, shape (people, 168), by the ages of a column, at least 0."""
    places, week = hours["place"].to_numpy(np.int64), hours["hour_of_week"].to_numpy(np.int64)
    return by_hour.counted(places, week, hours[age].to_numpy(np.float64), recipients=people)


def channel_counts(messages: pd.DataFrame, age: str, people: int) -> tuple[Floats, Floats]:
    """Return decayed messages that were answered, and all of them, both of shape (people, channels)."""
    return by_channel.answered_and_sent(
        messages["place"].to_numpy(np.int64),
        messages["channel"].to_numpy(np.int64),
        messages[age].to_numpy(np.float64),
        messages["answered"].to_numpy(np.float64),
        recipients=people,
        channels=len(CHANNELS),
    )


def write(lake: Lake, made: pd.DataFrame) -> Written:
    """Keep the rows in the lake, where an erasure finds them."""
    return lake.write(TABLE, pa.Table.from_pandas(made[_ordered()], schema=schema(), preserve_index=False))


def schema() -> pa.Schema:
    """Return the types of the table."""
    moment = pa.timestamp("us", tz="UTC")
    texts = {*_WHO, columns.HOURS, columns.HOURS_OF_OPENS}
    moments = {"as_of", columns.AS_OF}
    kinds = [moment if name in moments else pa.string() if name in texts else pa.float64() for name in _ordered()]
    return pa.schema(list(zip(_ordered(), kinds, strict=True)))


def _ordered() -> Sequence[str]:
    return [*_WHO, "as_of", *columns.columns()]
