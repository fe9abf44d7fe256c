"""The whole lineage on a small tenant: what one run from nothing leaves behind."""

import json
from datetime import timedelta

import pandas as pd
import pyarrow.parquet as pq
import pytest

from adapters.bundle import BundleVerifier, verify_and_open
from adapters.secrets import SecretBox
from assets import tables
from assets.steps import event_days, feature_days
from domain.events import EventType
from models.engagement.score import Scorer
from orchestration.runs import Outcome
from tests import synthetic
from tests.installation import NEVER_ASKED, TENANT, WITHDREW, WITHDREW_AT, Installation

TRAINING = "out_engagement_training_set"
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(autouse=True)
def _made(first_run: Outcome) -> None:
    """Every test here reads what the first run left."""


def test_one_run_makes_every_asset_and_every_check_holds(first_run: Outcome):
    assert (first_run.succeeded, list(first_run.broken), list(first_run.failed_steps)) == (True, [], [])
    assert len(first_run.assets) == 8
    assert len(first_run.held) == 16


def test_a_day_of_the_lake_holds_exactly_the_events_of_postgres(installation: Installation):
    by_day = pd.Series([event.occurred_at.date() for event in installation.data.events]).value_counts()
    first, last = installation.days
    rows = {day: installation.lake.rows(event_days.TABLE, day=day) for day in installation.lake.days(event_days.TABLE)}
    assert (min(rows), max(rows)) == (first, last)
    assert rows == {day: int(by_day.get(day, 0)) for day in rows}


def test_every_table_has_the_columns_its_page_declares(installation: Installation):
    declared = {
        "raw_engagement_events": tables.EVENTS,
        "core_recipient_engagement_daily": tables.FEATURES,
        TRAINING: tables.TRAINING,
        "out_engagement_holdout": tables.HOLDOUT,
        "out_segment_membership": tables.SEGMENTS,
    }
    for table, schema in declared.items():
        file = max((installation.lake.root / table).rglob("part.parquet"))
        assert pq.read_schema(file).names == [column.name for column in schema.columns], table


def test_a_recipient_has_a_row_from_the_first_event_on(installation: Installation):
    first = {}
    for event in installation.data.events:
        first[event.recipient_id] = min(first.get(event.recipient_id, event.occurred_at), event.occurred_at)
    for day in (installation.days[0], installation.days[0] + timedelta(days=9), installation.last_day):
        end = pd.Timestamp(day, tz="UTC") + timedelta(days=1)
        rows = installation.table(feature_days.TABLE, day)
        assert set(rows["recipient_id"]) == {name for name, at in first.items() if at < end}
        assert set(rows["as_of"]) <= {end}


def test_no_feature_of_a_training_row_lies_at_or_after_the_message(installation: Installation):
    rows = installation.table(TRAINING)
    moments = [name for name in rows.columns if name.startswith("last_") or name.endswith("_as_of")]
    for name in moments:
        known = rows[rows[name].notna()]
        assert (known[name] < known["decided_at"]).all(), name


def test_a_training_rows_counts_are_those_of_the_events_before_it(installation: Installation):
    bought = pd.DataFrame(
        [(e.recipient_id, e.occurred_at) for e in installation.data.events if e.type is EventType.PURCHASE],
        columns=["who", "at"],
    )
    rows = installation.table(TRAINING).dropna(subset=["engagement_as_of"])
    assert len(rows) > 1_000
    for row in rows.iloc[::17].itertuples():
        window = bought[(bought["who"] == row.recipient_id) & (bought["at"] < row.engagement_as_of)]
        expected = (window["at"] >= row.engagement_as_of - timedelta(days=30)).sum()
        assert row.purchase_count_30d == expected


def test_a_message_trains_only_when_its_recipient_allowed_it_then(installation: Installation):
    rows = installation.table(TRAINING)
    assert set(installation.data.recipients[:NEVER_ASKED]).isdisjoint(rows["recipient_id"])
    withdrew = rows[rows["recipient_id"] == WITHDREW]
    assert len(withdrew) == 2
    assert (withdrew["decided_at"] < WITHDREW_AT).all()


def test_a_row_is_final_only_when_its_window_has_closed(installation: Installation):
    rows = installation.table(TRAINING)
    assert list(rows["is_closed"]) == list(rows["window_ends_at"] <= installation.data.end)
    assert set(rows.loc[~rows["is_closed"], "campaign_id"]) == {"c4"}


def test_the_model_is_fitted_on_final_rows_before_the_cut_and_judged_on_later_ones(installation: Installation):
    version = installation.registry.version("champion")
    assert version is not None
    metrics, cut = json.loads(version.tags["kairos.metrics"]), pd.Timestamp(version.tags["training.cut"])
    rows = installation.table(TRAINING)
    assert metrics["n"] == ((rows["decided_at"] >= cut) & rows["is_closed"]).sum()
    assert metrics["started_n"] == (rows["decided_at"] >= cut).sum()
    assert installation.lake.rows("out_engagement_holdout") == metrics["started_n"]


def test_a_label_says_whether_the_campaign_was_answered(installation: Installation):
    used = {(e.recipient_id, e.campaign_id) for e in installation.data.events if e.type is EventType.CONVERTED}
    rows = installation.table(TRAINING)
    answered = [(who, what) in used for who, what in zip(rows["recipient_id"], rows["campaign_id"], strict=True)]
    assert answered == list(rows["label"] == 1)
    assert 0 < sum(answered) < len(rows)


def test_online_is_the_newest_day_that_the_tenant_has_reached(installation: Installation):
    online = installation.online()
    table = installation.table(feature_days.TABLE, installation.last_day).set_index("recipient_id")
    for place, name in enumerate(installation.data.recipients):
        assert online["purchase_count_90d"][place] == table.loc[name, "purchase_count_90d"]
        assert online["engagement_as_of"][place] == installation.data.end


def test_the_bundle_verifies_and_scores_as_the_hold_out_says(installation: Installation):
    version = installation.champion()
    verifier = BundleVerifier.of(SecretBox.of(installation.settings))
    folder = installation.settings.bundle_dir / "engagement" / str(version)
    bundle = verify_and_open(folder, model="engagement", version=str(version), verifier=verifier)
    Scorer.from_files(bundle.files).canary()
    held_out = installation.table("out_engagement_holdout")
    assert held_out["score"].between(0, 1).all()
    assert installation.lake.notes("out_engagement_holdout")["version"] == version
    assert bundle.info.data_digest == installation.lake.digest(TRAINING)


def test_the_version_leads_back_to_its_run_and_its_data(installation: Installation, first_run: Outcome):
    version = installation.registry.version("champion")
    assert version is not None
    assert version.tags["dagster.run_id"] == first_run.run_id
    assert version.tags["data.snapshot_id"] == installation.lake.digest(TRAINING)
    assert version.tags["feast.feature_service"] == "engagement_v1"
    assert version.tags["gate.passed"] == "true"
    metrics = json.loads(version.tags["kairos.metrics"])
    assert 0.5 < metrics["auc"] < 0.95
    assert "baseline_auc" in metrics


def test_every_recipient_is_in_one_segment(installation: Installation):
    rows = installation.table("out_segment_membership")
    assert sorted(rows["recipient_id"]) == sorted(set(rows["recipient_id"]))
    assert set(rows["tenant"]) == {TENANT}


def test_the_event_log_names_nobody(installation: Installation, first_run: Outcome):
    assert synthetic.PREFIX not in installation.messages(first_run)
