"""A run told as events of the published contract, so that whatever reads real events can read simulated ones."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from domain.events import EventType
from models.simulator.run import Run
from models.simulator.scenarios import CHANNELS

SOURCE = "simulator"
CURRENCY = "EUR"
MESSAGE_TYPE = "simulated"
_ANSWER = {"push": EventType.OPENED, "email": EventType.CLICKED, "sms": EventType.CLICKED, "in_app": EventType.OPENED}
"""What an answer is on each channel: a link followed where no open can be seen."""
_LEAVING_SECONDS = 60


def table(run: Run, *, name: str, start: datetime) -> pd.DataFrame:
    """Return all events in the order of their time.

    Args:
        run: what happened.
        name: begins every id; runs of different names never share one.
        start: midnight of day 0, a Monday, with its offset.

    Returns:
        One row an event. The columns are the contract's fields, dotted where they are nested; None where a field is
        left out. Two columns more say what a bandit needs: ``properties.action_probability`` and ``properties.action``.
    """
    return told(run.sends.reset_index(names="number"), run.visits.reset_index(names="number"), name=name, start=start)


def told(sends: pd.DataFrame, visits: pd.DataFrame, *, name: str, start: datetime) -> pd.DataFrame:
    """Return the events of some messages and visits, as ``table`` does.

    Args:
        sends: as in ``Run.sends``, and ``number``, which no other message of the name has. With a column
            ``decision_id`` messages have those ids, otherwise ids made of their numbers.
        visits: as in ``Run.visits``, and ``number``.
        name: begins every id.
        start: midnight of day 0, with its offset.
    """
    parts = [
        _sent(sends, name),
        _answered(sends[sends["opened"] > 0], name),
        _bought(sends[sends["bought"] > 0], name),
        _left(sends[sends["opted_out"] > 0], name),
        _visited(visits, name),
    ]
    made = pd.concat([each for each in parts if len(each)] or parts[:1], ignore_index=True)
    made["occurred_at"] = _moments(made.pop("time").to_numpy(dtype=np.float64), start)
    made["source"] = SOURCE
    if "value.minor" in made:
        # Beside rows without an amount, whole numbers would have become floats.
        made["value.minor"] = made["value.minor"].astype("Int64")
    made = made.sort_values(["occurred_at", "event_id"], kind="stable", ignore_index=True)
    return made.astype(object).where(made.notna(), None)


def nested(events: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield each event as the JSON object a producer would send, fields it does not have left out."""
    for row in events.to_dict("records"):
        event: dict[str, Any] = {}
        for column, value in row.items():
            group, _, field = str(column).partition(".")
            if value is None:
                continue
            if field:
                event.setdefault(group, {})[field] = value
            else:
                event[group] = value.isoformat() if isinstance(value, datetime) else value
        yield event


def _of(rows: pd.DataFrame, kind: str, name: str) -> pd.DataFrame:
    """Return what all events of one message have in common."""
    return pd.DataFrame(
        {
            "event_id": f"{name}-{kind}-" + rows["number"].astype(str),
            "recipient_id": f"{name}-" + rows["person"].astype(int).astype(str),
            "time": rows["day"] + rows["hour"] / 24,
        }
    )


def _message(rows: pd.DataFrame, kind: str, name: str) -> pd.DataFrame:
    variant = "v" + rows["variant"].astype(int).astype(str)
    channel = rows["channel"].map(dict(enumerate(CHANNELS)))
    decision = rows["decision_id"] if "decision_id" in rows else f"{name}-" + rows["number"].astype(str)
    return _of(rows, kind, name).assign(
        channel=channel, message_type=MESSAGE_TYPE, variant_id=variant, decision_id=decision
    )


def _sent(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    made = _message(rows, "sent", name).assign(type=EventType.NOTIFICATION_SENT.value)
    made["properties.action"] = made["variant_id"]
    made["properties.action_probability"] = rows["probability"]
    return made


def _answered(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    made = _message(rows, "answered", name)
    kinds = {channel: kind.value for channel, kind in _ANSWER.items()}
    return made.assign(type=made["channel"].map(kinds), time=made["time"] + rows["delay"])


def _bought(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    made = _message(rows, "bought", name).assign(type=EventType.CONVERTED.value)
    made["time"] += rows["delay"]
    # An answer may count as a conversion without anything being bought.
    is_paid = rows["cents"] > 0
    made["value.minor"] = rows["cents"].where(is_paid).astype("Int64")
    made["value.currency"] = pd.Series(CURRENCY, index=rows.index, dtype=object).where(is_paid, None)
    return made


def _left(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    made = _message(rows, "left", name).assign(type=EventType.UNSUBSCRIBED.value)
    # Who opened and left did the one before the other.
    return made.assign(time=made["time"] + rows["delay"].fillna(0.0) + _LEAVING_SECONDS / 86_400)


def _visited(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    return _of(rows, "visit", name).assign(type=EventType.APP_OPENED.value)


def _moments(days: np.ndarray[tuple[int, ...], np.dtype[np.float64]], start: datetime) -> list[datetime]:
    return [start + timedelta(milliseconds=int(value * 86_400_000)) for value in days]
