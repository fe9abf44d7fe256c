"""Advice on preferences over HTTP: evidence is shown, only the recipient's act applies it, nothing is lifted."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from adapters.postgres.consent import ConsentStore
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.tenants import Tenants
from domain.consent import ConsentChange, ConsentStatus
from domain.identity import subject_key
from domain.ingest import parse
from domain.values import Purpose
from tests.builders import NOON

ME = "me"
MINE = f"/v1/recipients/{ME}/preferences"
ADVICE = f"{MINE}/recommendations"
PROOF = {"proof": {"page": "settings", "session": "s-1"}}
_DECISION = text("""
INSERT INTO decision (tenant, decision_id, subject_key, request_fingerprint, decided_at, outcome, channel, variant_id,
    message_type, reason, action_probability, is_holdout, consent_version, record, answer, category)
VALUES (:tenant, :name, :subject, '', :at, 'send_now', :channel, 'a', 'news', 'policy.send', 1,
    false, 1, '{}', '{}', 'n')
""")


def allow(db, tenant, status=ConsentStatus.GIVEN, at=NOON - timedelta(days=170)):
    given = ConsentChange(purpose=Purpose.PERSONALIZATION, status=status, effective_at=at, source="test")
    ConsentStore(db).record(tenant, ME, [given], actor="test", now=at)


@pytest.fixture
def answered(db, box, tenant):
    """40 e-mails of which 30 were clicked, and 40 pushes of which none was, over 80 days before noon."""
    Tenants(db, box).shift_clock(tenant.tenant, (NOON - datetime.now(UTC)).total_seconds())
    allow(db, tenant)
    events = []
    with db.tenant(tenant.tenant) as connection:
        for number in range(80):
            channel, name = ("email", "push")[number % 2], f"d-{number}"
            row = {"tenant": tenant.tenant, "name": name, "at": NOON - timedelta(days=number, hours=1)}
            row |= {"channel": channel}
            subject = subject_key(tenant.subject_secret, ME)
            connection.execute(_DECISION, row | {"subject": subject})
            events.append(happened("notification_sent", row))
            if channel == "email" and number < 60:
                events.append(happened("clicked", row))
    log = EventLog(db, EventEffects(), retention=timedelta(days=365))
    verdicts = log.append(
        tenant, [parse(each, n) for n, each in enumerate(events)], origin="api", received_at=NOON, now=NOON
    )
    assert {each.verdict for each in verdicts} == {"stored"}, verdicts[0]


def happened(kind, row):
    shared = {"source": "s", "type": kind, "recipient_id": ME, "decision_id": row["name"], "channel": row["channel"]}
    return shared | {"event_id": f"{kind}-{row['name']}", "occurred_at": row["at"].isoformat()}


def counted(db, tenant, table):
    with db.tenant(tenant.tenant) as connection:
        return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()


def muting(api):
    """What is suggested about a channel."""
    [each] = [each for each in api.get(ADVICE).json()["recommendations"] if each["kind"] == "channel"]
    return each


def test_a_key_accepts_only_with_proof_and_nothing_becomes_a_consent(api, db, tenant, answered):
    consents = counted(db, tenant, "consent_record")
    each = muting(api)
    assert (each["scope"]["channel"], each["value"]["enabled"]) == ("push", False)
    assert (each["worse"]["messages"], each["worse"]["answered"]) == (40, 0)
    assert (each["better"]["messages"], each["better"]["answered"]) == (40, 30)
    assert counted(db, tenant, "preference") == 0, "asking changes nothing"
    accept = f"{ADVICE}/{each['recommendation_id']}/accept"
    refused = api.post(accept, json={})
    assert (refused.status_code, refused.json()["code"]) == (422, "preference_advice.no_proof")
    stored = api.post(accept, json=PROOF).json()["preference"]
    assert (stored["value"]["enabled"], stored["source"]) == (False, "recipient:recommendation")
    assert api.post(accept, json=PROOF).status_code == 404, "it is not suggested any more"
    assert api.get(ADVICE).json()["kinds"]["channel"] == "answered_recently"
    assert counted(db, tenant, "consent_record") == consents
    metrics = api.get("/metrics").text
    assert 'kairos_preference_advice_total{act="accepted",kind="channel"}' in metrics


def test_the_recipients_own_token_is_their_act(server, signer, db, tenant, answered):
    headers = {"Authorization": f"Bearer {signer.of('recipient', sub=ME)}"}
    found = server.get(ADVICE, headers=headers).json()
    assert (found["basis"], found["messages"]) == ("suggested", 80)
    name = found["recommendations"][0]["recommendation_id"]
    assert server.post(f"{ADVICE}/{name}/accept", json={}, headers=headers).status_code == 200
    assert server.get(ADVICE.replace(ME, "you"), headers=headers).status_code == 404


def test_what_was_dismissed_is_silent_for_90_days_and_then_suggested_again(api, db, box, tenant, answered):
    name = muting(api)["recommendation_id"]
    told = api.post(f"{ADVICE}/{name}/dismiss").json()
    assert (told["act"], told["silent_until"][:10]) == ("dismissed", (NOON + timedelta(days=90)).date().isoformat())
    assert api.get(ADVICE).json()["kinds"]["channel"] == "answered_recently"
    assert counted(db, tenant, "preference") == 0
    later = NOON + timedelta(days=91)
    Tenants(db, box).shift_clock(tenant.tenant, (later - datetime.now(UTC)).total_seconds())
    assert muting(api)["recommendation_id"] == name


def test_a_denial_made_meanwhile_is_not_replaced(api, answered):
    name = muting(api)["recommendation_id"]
    denied = {"scope": {"channel": "push"}, "value": {"frequency": "never"}}
    api.put(MINE, json=denied).raise_for_status()
    assert api.post(f"{ADVICE}/{name}/accept", json=PROOF).status_code == 404
    assert api.get(ADVICE).json()["kinds"]["channel"] == "nothing_better"


def test_who_refused_profiling_gets_nothing_but_the_reason(api, db, tenant, answered):
    name = muting(api)["recommendation_id"]
    allow(db, tenant, ConsentStatus.WITHDRAWN, at=NOON - timedelta(minutes=1))
    found = api.get(ADVICE).json()
    assert (found["basis"], found["messages"], found["recommendations"]) == ("profiling_refused", 0, [])
    assert found["refusal"].startswith("consent.")
    assert api.post(f"{ADVICE}/{name}/accept", json=PROOF).status_code == 404


def test_nobody_known_is_told_that_nothing_is_known(api, db, tenant):
    allow(db, tenant)
    assert api.get(ADVICE).json()["basis"] == "not_enough_data"
