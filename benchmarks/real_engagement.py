"""The Complete Journey as rows to learn from: each send with its features as they were and what came of it."""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd

from adapters.completejourney import CompleteJourney
from domain.events import EVENT_COLUMNS
from domain.ingest import local_time
from feature_repo.engagement import transform
from feature_repo.engagement.at_read import at_read
from models.engagement import dataset, evaluate, spec
from models.engagement.train import FittedEngagement

NEW_YORK = ZoneInfo("America/New_York")
JULY, OCTOBER = (datetime(2017, month, 1, tzinfo=NEW_YORK) for month in (7, 10))
US = pd.DatetimeTZDtype("us", "UTC")
SEED = 20_170_101


def split(folder: Path | None, cut: datetime, known_until: datetime) -> tuple[dataset.Dataset, dataset.Dataset]:
    """Return the rows before and after a cut.

    Args:
        folder: of the tables; None for those of the installed package.
        cut: sends from then on are judged on.
        known_until: later conversions are not known.
    """
    parts = dataset.time_split(training_rows(folder, known_until), at=cut)
    vocabularies = dataset.vocabularies(parts.train)
    return prepared(parts.train, vocabularies), prepared(parts.test, vocabularies)


def report(model: FittedEngagement, after: dataset.Dataset, p: npt.NDArray[np.float64]) -> evaluate.Report:
    """Return what probabilities of the rows after the cut are worth."""
    judged: dict[str, Any] = {"message_type": after.message_type, "recipient": after.recipient}
    return evaluate.evaluate(after.label, p, **judged, base_rates=model.base_rates, seed=1)


@cache
def training_rows(folder: Path | None, known_until: datetime) -> pd.DataFrame:
    """Return each send with its label and the features of the midnight before."""
    log = pd.DataFrame([as_row(event) for event in CompleteJourney.find(folder).events()])
    log = log.assign(occurred_at=log["occurred_at"].astype(US), value_minor=log["value_minor"].astype("Int64"))
    sends = log[log["type"] == "notification_sent"].rename(columns={"occurred_at": "decided_at"})
    ends = sends["properties"].map(lambda text: json.loads(text)["attribution_ends_at"])
    sends = sends.assign(
        window_ends_at=pd.to_datetime(ends, utc=True).astype(US), as_of=sends["decided_at"].dt.floor("D")
    )
    conversions = log[log["type"] == "converted"]
    labelled = dataset.label(sends, conversions, cut=known_until, keep_open=True)
    asked = labelled[["tenant", "recipient_id", "as_of"]].drop_duplicates()
    table = transform.from_events(log, asked)
    return labelled.merge(table, on=["tenant", "recipient_id", "as_of"], validate="m:1")


def prepared(rows: pd.DataFrame, vocabularies: Mapping[str, tuple[str, ...]]) -> dataset.Dataset:
    """Return rows as the model takes them."""
    read = at_read(rows, rows, features=spec.FEATURES, vocabularies=vocabularies)
    return dataset.dataset(rows, read.matrix, vocabularies=vocabularies)


def as_row(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as a row of the event log."""
    moment = datetime.fromisoformat(event["occurred_at"])
    hour, day = local_time(moment, NEW_YORK)
    properties = event["properties"]
    return dict.fromkeys(EVENT_COLUMNS) | {
        **{name: event.get(name) for name in ("type", "recipient_id", "channel", "campaign_id", "message_type")},
        "tenant": "demo",
        "occurred_at": moment,
        "value_minor": event.get("value", {}).get("minor"),
        "category": properties.get("category"),
        "local_hour_of_week": hour,
        "local_date": day,
        "properties": json.dumps(properties),
    }
