"""Which messages made their recipient leave: the last one on a channel before somebody left it, within its window.

People leave by an event (unsubscribed, complained) or by withdrawing their consent to marketing, through a link, a
preference page or a reply. Both often say the same, and mostly without the message, so the last one before it counts.
"""

import numpy as np
import pandas as pd

from adapters.postgres.learning_facts import Facts
from domain.events import EventType
from domain.values import ANY_CHANNEL
from models.channel_value.spec import ANSWER_DAYS

LEAVING = (EventType.UNSUBSCRIBED, EventType.COMPLAINED)
_MOMENT = pd.DatetimeTZDtype("us", "UTC")
_COLUMNS = ["place", "channel", "occurred_at"]


def left(events: pd.DataFrame, who: pd.DataFrame, facts: Facts) -> "pd.Series[float]":
    """Return 1.0 for each message sent that its recipient left by, within ``ANSWER_DAYS``, else 0.0.

    Args:
        events: everything recipients did: ``type``, ``place`` in ``who``, ``channel``, ``occurred_at``.
        who: ``tenant`` and ``recipient_id`` of the recipients.
        facts: who withdrew their consent to marketing, and when.
    """
    sends = events.loc[events["type"].eq(EventType.NOTIFICATION_SENT), _COLUMNS]
    sends = sends.assign(row=sends.index).sort_values("occurred_at").astype({"channel": object})
    told = events.loc[events["type"].isin(LEAVING), _COLUMNS]
    departures = pd.concat([_typed(told), _withdrawn(who, facts)]).sort_values("occurred_at")
    from_all = departures["channel"].eq(ANY_CHANNEL)
    hit = [
        *_last_before(departures[~from_all], sends, ["place", "channel"]),
        *_last_before(departures.loc[from_all].drop(columns="channel"), sends.drop(columns="channel"), ["place"]),
    ]
    return pd.Series(np.isin(sends["row"], hit).astype(float), index=sends["row"].to_numpy()).sort_index()


def _last_before(departures: pd.DataFrame, sends: pd.DataFrame, by: list[str]) -> list[int]:
    near = pd.Timedelta(days=ANSWER_DAYS)
    joined = pd.merge_asof(departures, sends, on="occurred_at", by=by, tolerance=near)
    return joined["row"].dropna().astype("int64").to_list()


def _withdrawn(who: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    rows = [
        (place, channel, moment)
        for place, key in enumerate(zip(who["tenant"], who["recipient_id"], strict=True))
        for channel, moment in facts.leavings.get(key, ())
    ]
    return _typed(pd.DataFrame(rows, columns=_COLUMNS))


def _typed(told: pd.DataFrame) -> pd.DataFrame:
    # A complaint that names no channel is about everything.
    channel = told["channel"].astype(object).fillna(ANY_CHANNEL)
    return told.astype({"place": "int64"}).assign(channel=channel, occurred_at=told["occurred_at"].astype(_MOMENT))
