"""A shadow beside the decisions of a model: nothing they say changes, and what it says is joined to outcomes."""

import json
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import psycopg
import pytest
from sqlalchemy import make_url, select

from adapters.decision_spool import DecisionSpool
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.shadow_outcomes import ShadowOutcomes, ShadowPerformance
from adapters.postgres.shadow_scores import ShadowScore, ShadowScores
from adapters.postgres.shadow_tables import shadow_score
from adapters.postgres.tables import decision
from adapters.postgres.tenants import Tenants
from adapters.settings import Settings
from domain.consent import ConsentChange, ConsentStatus
from domain.decision_request import DecisionRequest
from domain.ingest import parse
from domain.values import Purpose
from serving.asks import Ask
from serving.breakers import consent_store
from serving.local_hooks import LocalHooks
from serving.shadow import Shadow
from serving.steady import SteadyDecider
from tests.builders import NOON, a_type

BOTH = (Purpose.MARKETING, Purpose.PERSONALIZATION)
PEOPLE = 40
_TIMES = ("stages_ms",)


class Features:
    """Features of everybody, without a store."""

    def online(self, tenant, recipient_ids, *, seconds=None):  # noqa: ARG002 - as the online store is asked
        count = len(recipient_ids)
        stamps = {name: [NOON - timedelta(hours=1)] * count for name in ("engagement_as_of", "delivery_as_of")}
        return stamps | {"login_count_30d": [float(len(each)) for each in recipient_ids]}


def a_model(version, p):
    scorer = SimpleNamespace(
        features=("login_count_30d", "channel_code"),
        vocabularies={"channel": ("email", "push")},
        score=lambda matrix: np.where(matrix[:, 1] == 0, p, p / 2),
    )
    return SimpleNamespace(
        name="engagement", version=version, digest="d", run_id="r", feature_service="s", scorer=scorer, store=Features()
    )


class Alias:
    """A shadow that is loaded."""

    status = SimpleNamespace(is_as_wanted=True)

    def __init__(self, current):
        self.current = current

    def poll(self):
        pass


@pytest.fixture
def world(db, box, tenant):
    """Two tenants with the same people, types, consents and secret: what one decides the other decides too."""
    other = Tenants(db, box).create(f"{tenant.tenant}-b", display_name="b", time_zone=tenant.time_zone)[0]
    twin = other.model_copy(update={"subject_secret": tenant.subject_secret})
    for each in (tenant, twin):
        MessageTypes(db).publish(each, [a_type()], actor="test")
        given = [
            ConsentChange(purpose=purpose, status=ConsentStatus.GIVEN, source="t", effective_at=NOON)
            for purpose in BOTH
        ]
        for number in range(PEOPLE):
            ConsentStore(db).record(each, f"p-{number}", given, actor="test", now=NOON)
    return tenant, twin


@pytest.fixture
def decide(db, box, tmp_path):
    def decided(tenant, shadow):
        settings = Settings(data_dir=tmp_path / tenant.tenant, holdout_share=0)
        decider = SteadyDecider(
            DecisionLog(db),
            lambda: a_model("7", 0.2),
            settings,
            spool=DecisionSpool.of(settings, box),
            store=consent_store(),
            hooks=LocalHooks.installed(),
            prices=lambda _tenant: None,
            shadow=shadow,
        )
        asks = [
            Ask(
                f"d-{number}",
                DecisionRequest.model_validate({"recipient_id": f"p-{number}", "message": {"type": "news"}}),
            )
            for number in range(PEOPLE)
        ]
        return [json.dumps(each.answer, sort_keys=True) for each in decider.decide(tenant, asks, now=NOON, actor="t")]

    return decided


def records(db, tenant):
    with db.tenant(tenant.tenant) as connection:
        rows = connection.execute(select(decision).order_by(decision.c.decision_id)).all()
    return [json.dumps({k: v for k, v in row.record.items() if k not in _TIMES}, sort_keys=True) for row in rows]


def stored(db, tenant):
    with db.tenant(tenant.tenant) as connection:
        return {row.decision_id: row for row in connection.execute(select(shadow_score))}


def test_answers_and_records_are_the_same_bytes_with_and_without_a_shadow(db, world, decide):
    tenant, twin = world
    store = ShadowScores(db)
    shadow = Shadow(Alias(a_model("8", 0.4)), store, poll_seconds=60, settle_seconds=0)
    assert decide(tenant, shadow) == decide(twin, None)
    kept = records(db, tenant)
    assert kept == records(db, twin)
    assert "shadow" not in "".join(kept)
    shadow.work()
    rows = stored(db, tenant)
    assert len(rows) == PEOPLE
    assert {(row.version, row.champion) for row in rows.values()} == {("8", "7")}
    assert all(row.p == pytest.approx({"email": 0.4, "push": 0.2}) for row in rows.values())
    assert stored(db, twin) == {}


def test_what_is_said_of_a_decision_goes_with_it_and_never_stands_without_one(
    db, box, world, decide, databases, postgres
):
    tenant, _ = world
    shadow = Shadow(Alias(a_model("8", 0.4)), ShadowScores(db), poll_seconds=60, settle_seconds=0)
    decide(tenant, shadow)
    shadow.work()
    nowhere = ShadowScore(tenant.tenant, "never-recorded", "engagement", "8", "7", {"email": 0.1})
    assert ShadowScores(db).store(tenant.tenant, [nowhere]) == 0
    url = make_url(postgres.admin_url).set(drivername="postgresql", database=make_url(databases.app).database)
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        connection.execute("DELETE FROM decision WHERE tenant = %s AND decision_id = 'd-1'", [tenant.tenant])
    assert stored(db, tenant).keys() == {f"d-{number}" for number in range(PEOPLE)} - {"d-1"}


def test_both_are_compared_on_the_same_messages_and_what_came_of_them(db, batch_db, world, decide, databases, postgres):
    tenant, _ = world
    shadow = Shadow(Alias(a_model("8", 0.4)), ShadowScores(db), poll_seconds=60, settle_seconds=0)
    decide(tenant, shadow)
    shadow.work()
    with db.tenant(tenant.tenant) as connection:
        sent = connection.execute(select(decision).where(decision.c.outcome == "send_now")).all()
    assert sent
    bought = {"source": "shop", "event_id": "b", "type": "converted", "recipient_id": "p-1"}
    bought |= {"decision_id": sent[0].decision_id, "occurred_at": (NOON + timedelta(minutes=30)).isoformat()}
    later = NOON + timedelta(hours=1)
    log = EventLog(db, EventEffects(), retention=timedelta(days=365))
    [verdict] = log.append(tenant, [parse(bought, 0)], origin="api", received_at=later, now=later)
    assert verdict.verdict == "stored"
    now = NOON + timedelta(days=9)
    rows = ShadowOutcomes(batch_db).of("engagement", "8", "7", {tenant.tenant: now}, back=timedelta(days=30))
    assert (len(rows), rows["converted"].sum()) == (len(sent), 1)
    assert set(rows["p"] / rows["champion_p"]) == {2.0}
    assert ShadowOutcomes(batch_db).of("engagement", "8", "6", {tenant.tenant: now}, back=timedelta(days=30)).empty
    told = ShadowPerformance(db).of(tenant, "engagement", "8", now=now, since=NOON - timedelta(days=30))
    assert sum(each["decisions"] for each in told) == len(sent)
    assert {(each["champion"], each["day"].isoformat()) for each in told} == {("7", "2026-03-02")}
    assert sum(each["expected"] for each in told) == pytest.approx(2 * sum(each["champion_expected"] for each in told))
