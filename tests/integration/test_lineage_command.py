"""Lineage both ways: what a decision stood on, and which decisions a day or an event touched."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import psycopg
import pytest
from sqlalchemy import make_url, select

from adapters.clock import Clock
from adapters.mlflow_versions import KnownVersion
from adapters.postgres.consent import ConsentStore
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.tables import audit
from cli import lineage
from cli.traced import LOOKBACK, Trace
from domain.consent import ConsentChange, ConsentStatus
from domain.events import EngagementEvent
from domain.identity import subject_key
from domain.ingest import Item
from domain.values import Purpose
from tests import live_decisions

AS_OF = datetime(2026, 3, 2, tzinfo=UTC)
WHO = "somebody"


def bought(name, at):
    return EngagementEvent.model_validate(
        {"source": "shop", "event_id": name, "type": "purchase", "recipient_id": WHO, "occurred_at": at}
        | {"value": {"minor": 100, "currency": "USD"}}
    )


@pytest.fixture
def trace(db, databases, postgres, tenant, monkeypatch):
    """Two purchases, one within reach of what the decision read, one too old; the model was trained in January."""
    given = ConsentChange(
        purpose=Purpose.PERSONALIZATION, status=ConsentStatus.GIVEN, effective_at=AS_OF, source="test"
    )
    ConsentStore(db).record_many(tenant, {WHO: [given]}, actor="test", now=AS_OF)
    events = [bought("near", AS_OF - timedelta(days=3)), bought("far", AS_OF - LOOKBACK - timedelta(days=3))]
    items = [Item(place, b"", event) for place, event in enumerate(events)]
    log = EventLog(db, EventEffects(), retention=timedelta(days=3650))
    log.append(tenant, items, origin="test", received_at=Clock().real(), now=AS_OF)
    record = live_decisions.a_record("engagement", "7", 0.2, features_as_of={"engagement_as_of": AS_OF.isoformat()})
    record |= {"subject_key": subject_key(tenant.subject_secret, WHO), "decided_at": AS_OF.isoformat()}
    url = make_url(postgres.admin_url).set(drivername="postgresql", database=make_url(databases.app).database)
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        live_decisions.put(connection, tenant.tenant, [record], [False], first=AS_OF + timedelta(hours=9))
    tags = {"data.first_day": "2026-01-01", "data.last_day": "2026-01-31", "dagster.run_id": "run-1"}
    monkeypatch.setattr(Trace, "_version", lambda *_: KnownVersion("engagement", "7", "run", 0, tags))
    monkeypatch.setattr(Trace, "_bundle", lambda *_: "f00d")
    return Trace(SimpleNamespace(database=db), tenant, limit=10)


def test_a_decision_leads_to_its_model_its_data_its_days_and_its_events(trace):
    told = trace.decision("engagement-7-0")
    assert told["model"]["version"] == "7"
    assert (told["model"]["training_snapshot"], told["model"]["dagster_run"]) == ("f00d", "run-1")
    view = told["features"]["engagement_as_of"]
    assert (view["feature_day"], view["event_days"]) == ("2026-03-01", "2025-12-02...2026-03-01")
    assert told["events"] == {"count": 1, "ids": ["shop/near"]}
    assert json.dumps(told)
    assert "shop/near" in lineage._text(told)


@pytest.mark.parametrize(
    ("day", "by_features", "by_model"),
    [("2026-02-27", 1, 0), ("2026-01-15", 1, 1), ("2025-11-29", 0, 0), ("2026-03-02", 0, 0)],
)
def test_a_bad_day_leads_to_the_decisions_it_touched(trace, day, by_features, by_model):
    touched = trace.partition(datetime.fromisoformat(day).date())["touched"]
    assert (touched["features"]["decisions"], touched["model"]["decisions"]) == (by_features, by_model)


def test_an_event_leads_to_the_decisions_that_could_see_it(trace):
    assert trace.event("near")["touched"]["features"]["ids"] == ["engagement-7-0"]
    assert trace.event("far")["touched"]["features"]["ids"] == []
    assert trace.event("never") is None
    assert trace.decision("never") is None


def test_asking_is_audited(trace, db, tenant):
    trace.event("near")
    with db.tenant(tenant.tenant) as connection:
        found = connection.execute(select(audit.c.object).where(audit.c.action == "lineage.read")).scalars().all()
    assert found == ["event:near"]
