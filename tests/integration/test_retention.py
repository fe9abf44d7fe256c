"""Retention: what is older than its period is gone from every store, what is younger or held is not."""

import contextlib
from datetime import UTC, datetime, timedelta

import dagster as dg
import pyarrow as pa
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from adapters.clock import Clock
from adapters.lake import Lake
from adapters.postgres.engine import Database
from adapters.postgres.erasures import Erasures
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.retention import TABLES, Retention
from adapters.retention import Forgetter
from assets import retention as assets
from domain.identity import subject_key
from domain.ingest import parse
from domain.retention import NotShorter, Retained

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAYS = {Retained.EVENTS: 100, Retained.DECISIONS: 100, Retained.DEAD_LETTERS: 30, Retained.JOBS: 30}
EVENTS = TABLES[Retained.EVENTS][0]


class OneTenant:
    def __init__(self, tenant):
        self._tenant = tenant

    def all(self):
        return iter([self._tenant])


class Noon(Clock):
    """NOW for everybody; a sandbox's offset is none."""

    def __init__(self):
        super().__init__(lambda: NOW)


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


@pytest.fixture
def retention(db):
    return Retention(db, DAYS)


@pytest.fixture
def forgetter(retention, tenant, lake):
    return Forgetter(retention, OneTenant(tenant), Noon(), lake)


def happened(db, tenant, who, *, days_ago):
    at = NOW - timedelta(days=days_ago)
    body = {"source": "app", "event_id": f"{who}-{days_ago}", "type": "app_opened", "recipient_id": who}
    item = parse(body | {"occurred_at": at.isoformat()}, 0)
    log = EventLog(db, EventEffects(), retention=timedelta(days=3650))
    log.append(tenant, [item], origin="api", received_at=at, now=NOW)


def left(db, tenant, table="event", column="recipient_id"):
    with db.tenant(tenant.tenant) as connection:
        return sorted(connection.execute(text(f"SELECT {column} FROM {table}")).scalars().all())


def decided(db, tenant, who, *, days_ago):
    with db.tenant(tenant.tenant) as connection:
        key = subject_key(tenant.subject_secret, who)
        given = {"t": tenant.tenant, "id": f"{who}-{days_ago}", "s": key, "at": NOW - timedelta(days=days_ago)}
        connection.execute(_DECISION, given)


def test_what_is_older_than_its_period_goes_and_its_digest_with_it(db, tenant, forgetter):
    for days_ago in (10, 99, 101, 300):
        happened(db, tenant, "r", days_ago=days_ago)
    dry = forgetter.rows(Retained.EVENTS, is_dry=True)
    assert dry.rows == {"event": 2, "event_key": 2}
    assert len(left(db, tenant)) == 4
    assert forgetter.rows(Retained.EVENTS, is_dry=False).rows == dry.rows
    assert len(left(db, tenant)) == len(left(db, tenant, "event_key", "event_id")) == 2
    assert forgetter.rows(Retained.EVENTS, is_dry=False).rows == {"event": 0, "event_key": 0}


def test_a_recipient_shortens_their_own_period_and_nobody_elses(db, tenant, retention, forgetter):
    for who in ("r", "s"):
        happened(db, tenant, who, days_ago=50)
        decided(db, tenant, who, days_ago=50)
    happened(db, tenant, "r", days_ago=300)
    assert retention.shorten_for(tenant, "r", 40, actor="test") == 40
    dry = forgetter.rows(Retained.EVENTS, is_dry=True).rows["event"]
    assert forgetter.rows(Retained.EVENTS, is_dry=False).rows["event"] == dry == 2
    forgetter.rows(Retained.DECISIONS, is_dry=False)
    assert left(db, tenant) == ["s"]
    assert left(db, tenant, "decision", "decision_id") == ["s-50"]


def test_a_period_is_never_made_longer(tenant, retention):
    assert retention.shorten(tenant, Retained.EVENTS, 60, actor="test")[Retained.EVENTS] == 60
    for longer in (61, 3650):
        with pytest.raises(NotShorter):
            retention.shorten(tenant, Retained.EVENTS, longer, actor="test")
    retention.shorten_for(tenant, "r", 20, actor="test")
    with pytest.raises(NotShorter):
        retention.shorten_for(tenant, "r", 21, actor="test")
    with pytest.raises(NotShorter):
        retention.shorten_for(tenant, "s", 101, actor="test")


def test_what_is_held_on_a_ground_stays(db, tenant, lake, forgetter):
    lake.write("raw_engagement_events", lake_rows(tenant, "held", "r"), day=(NOW - timedelta(days=200)).date())
    for who in ("held", "r"):
        happened(db, tenant, who, days_ago=200)
        decided(db, tenant, who, days_ago=200)
    keep = dict.fromkeys(("event", "decision", "lake"), "legal hold 17")
    Erasures(db).request(tenant, "held", actor="test", now=NOW, keep=keep)
    dry = forgetter.rows(Retained.EVENTS, is_dry=True).rows["event"]
    assert forgetter.rows(Retained.EVENTS, is_dry=False).rows["event"] == dry == 1
    forgetter.rows(Retained.DECISIONS, is_dry=False)
    forgetter.files(is_dry=False)
    assert left(db, tenant) == ["held"]
    assert left(db, tenant, "decision", "decision_id") == ["held-200"]
    [path] = lake.files()
    assert lake.select("raw_engagement_events", columns=["recipient_id"]).to_pydict() == {"recipient_id": ["held"]}
    assert path.exists()


def lake_rows(tenant, *who):
    return pa.Table.from_pylist([{"tenant": tenant.tenant, "recipient_id": each, "n": 1} for each in who])


def test_days_of_the_lake_that_are_too_old_are_deleted_and_shared_ones_keep_the_others(tenant, lake, forgetter):
    old, young = ((NOW - timedelta(days=days)).date() for days in (200, 10))
    shared = (NOW - timedelta(days=201)).date()
    table = "raw_engagement_events"
    for day in (old, young):
        lake.write(table, lake_rows(tenant, "r"), day=day)
    other = pa.Table.from_pylist([{"tenant": "other", "recipient_id": "r", "n": 1}])
    lake.write(table, pa.concat_tables([lake_rows(tenant, "r"), other]), day=shared)
    moments = [NOW - timedelta(days=days) for days in (200, 10)]
    training = {"tenant": [tenant.tenant] * 2, "recipient_id": ["r"] * 2, "decided_at": moments}
    lake.write("out_engagement_training_set", pa.table(training))
    dry = forgetter.files(is_dry=True).rows
    assert dry == {table: 2, "out_engagement_training_set": 1}
    assert forgetter.files(is_dry=False).rows == dry
    assert lake.days(table) == (shared, young)
    assert lake.read(table, day=shared).to_pylist() == other.to_pylist()
    assert lake.read("out_engagement_training_set")["decided_at"].to_pylist() == moments[1:]
    assert forgetter.files(is_dry=False).rows == {}


def test_a_recipients_own_period_reaches_the_lake(tenant, lake, retention, forgetter):
    day = (NOW - timedelta(days=50)).date()
    lake.write("raw_engagement_events", lake_rows(tenant, "r", "s"), day=day)
    retention.shorten_for(tenant, "r", 40, actor="test")
    forgetter.files(is_dry=False)
    assert lake.read("raw_engagement_events", day=day)["recipient_id"].to_pylist() == ["s"]


def test_a_run_that_was_cut_off_is_finished_by_the_next(db, databases, tenant, lake, forgetter):
    for days_ago in range(110, 250, 10):
        happened(db, tenant, "r", days_ago=days_ago)

    class CutOff(Database):
        transactions = 0

        @contextlib.contextmanager
        def tenant(self, tenant):
            self.transactions += 1
            if self.transactions > 12:
                raise KeyboardInterrupt
            with super().tenant(tenant) as connection:
                yield connection

    cut_off = CutOff(databases.app)
    with pytest.raises(KeyboardInterrupt):
        Forgetter(Retention(cut_off, DAYS), OneTenant(tenant), Noon(), lake).rows(Retained.EVENTS, is_dry=False)
    cut_off.close()
    some = len(left(db, tenant))
    assert 0 < some < 14
    assert forgetter.rows(Retained.EVENTS, is_dry=False).rows["event"] == some
    assert left(db, tenant) == []


def test_a_plan_that_was_made_goes_with_its_items_and_one_that_is_still_made_stays(db, tenant, forgetter):
    for name, state, days_ago in (("old", "done", 40), ("young", "done", 5), ("made", "running", 40)):
        given = {"t": tenant.tenant, "id": name, "state": state, "at": NOW - timedelta(days=days_ago)}
        with db.tenant(tenant.tenant) as connection:
            for statement in _PLAN:
                connection.execute(statement, given)
    dry = forgetter.rows(Retained.JOBS, is_dry=True)
    assert dry.rows["plan"] == 1
    assert forgetter.rows(Retained.JOBS, is_dry=False).rows["plan"] == 1
    for table in ("plan", "plan_item", "plan_page"):
        assert left(db, tenant, table, "plan_id") == ["made", "young"]


def test_the_application_forgets_nothing_young_and_no_other_table(db, tenant):
    for place, before in (("event", datetime.now(UTC)), ("audit", NOW), ("consent_record", NOW)):
        with pytest.raises(ProgrammingError), db.tenant(tenant.tenant) as connection:
            connection.execute(text("SELECT kairos_forget(:p, :b, '{}', NULL)"), {"p": place, "b": before})


def test_an_asset_shows_what_went_and_a_dry_run_what_would(db, tenant, forgetter):
    happened(db, tenant, "r", days_ago=300)
    counts = []
    for dry_run in (True, False):
        config = {"ops": {"retained_events": {"config": {"dry_run": dry_run}}}}
        done = dg.materialize([assets.ASSETS[0]], resources={"forgetter": forgetter}, run_config=config)
        [shown] = done.asset_materializations_for_node("retained_events")
        counts.append((shown.metadata["dry_run"].value, shown.metadata["rows_event"].value, len(left(db, tenant))))
    assert counts == [(True, 1, 1), (False, 1, 0)]


_PLAN = (
    text("INSERT INTO plan (tenant, plan_id, job_id, actor, recorded_at) VALUES (:t, :id, :id, 'test', :at)"),
    text("INSERT INTO plan_page (tenant, plan_id, page, people) VALUES (:t, :id, 0, '')"),
    text(
        "INSERT INTO plan_item (tenant, plan_id, position, page, place, channel, slot, starts, worth) "
        "VALUES (:t, :id, 0, 0, 0, 'email', 0, :at, 0)"
    ),
    text(
        "INSERT INTO job (tenant, job_id, kind, state, total, actor, updated_at, leased_until) "
        "VALUES (:t, :id, 'plan', :state, 1, 'test', :at, 'infinity')"
    ),
)
_DECISION = text("""
INSERT INTO decision (tenant, decision_id, subject_key, request_fingerprint, decided_at, outcome, message_type, reason,
    action_probability, is_holdout, consent_version, record, answer, recorded_at)
VALUES (:t, :id, :s, '', :at, 'suppress', 'news', 'policy.chose_nothing', 1, false, 1, '{}', '{}', :at)
""")
