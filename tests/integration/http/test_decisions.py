"""Decisions over HTTP: what is asked, refused, answered and kept, with no model and no Redis: rules decide."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from adapters import message_type_files
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.consent import ConsentStore
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import audit, decision
from adapters.postgres.tenants import Tenants
from domain.consent import ConsentChange, ConsentStatus
from domain.values import Purpose
from tests.builders import a_type

TYPES = Path(__file__).parents[3] / "deploy/message_types"
NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
"""Noon in New York, where the tenant is."""


@pytest.fixture
def world(db, box, tenant):
    """A tenant at noon with every message type and one consenting recipient, ``r``."""
    shifted = Tenants(db, box).shift_clock(tenant.tenant, (NOON - datetime.now(UTC)).total_seconds())
    MessageTypes(db).publish(tenant, message_type_files.load(TYPES), actor="test")
    grants = [
        ConsentChange(purpose=purpose, status=ConsentStatus.GIVEN, source="test", effective_at=NOON - timedelta(days=9))
        for purpose in (Purpose.MARKETING, Purpose.PERSONALIZATION)
    ]
    ConsentStore(db).record(tenant, "r", grants, actor="test", now=NOON)
    return shifted


def at(db, box, tenant, moment: datetime) -> None:
    Tenants(db, box).shift_clock(tenant.tenant, (moment - datetime.now(UTC)).total_seconds())


def ask(api, message_type="coupon_a", recipient="r", key=None, **fields):
    body = {"recipient_id": recipient, "message": {"type": message_type} | fields.pop("message", {})} | fields
    return api.post("/v1/decisions", json=body, headers={"Idempotency-Key": key} if key else {})


def test_without_a_model_rules_send_and_say_so(api, world):
    answer = ask(api).json()
    assert (answer["outcome"], answer["reason"], answer["degraded"]) == ("send_now", "policy.rules", "rules")
    assert answer["channel"] == "email"
    assert answer["action_probability"] == 0.5
    assert answer["content"]["subject"]
    assert answer["score"] == {
        "p_open": 0.018, "p_convert": None, "p_opt_out": pytest.approx(0.0015), "value": None, "price": None
    }  # fmt: skip
    assert answer["versions"]["policy"] == "rules_v1"


def test_without_consent_nothing_is_sent(api, world):
    answer = ask(api, recipient="stranger").json()
    assert (answer["outcome"], answer["reason"]) == ("suppress", "consent.missing")
    assert answer["action_probability"] == 1.0
    assert answer["refusals"] == [{"channel": "email", "reason": "consent.missing", "rule": None}]
    assert answer["content"] is None


def test_at_night_marketing_waits_until_eight_there(api, world, db, box):
    at(db, box, world, datetime(2026, 3, 3, 3, 30, tzinfo=UTC))
    answer = ask(api).json()
    assert (answer["outcome"], answer["reason"]) == ("defer", "quiet_hours.now")
    assert answer["send_at"] == "2026-03-03T13:00:00Z"
    elsewhere = ask(api, context={"time_zone": "Asia/Tokyo"}).json()
    assert elsewhere["outcome"] != "defer"


def test_a_deferral_beyond_the_expiry_is_refused(api, world, db, box):
    at(db, box, world, datetime(2026, 3, 3, 3, 30, tzinfo=UTC))
    answer = ask(api, message={"expires_at": "2026-03-03T13:00:00Z"}).json()
    assert (answer["outcome"], answer["reason"]) == ("suppress", "expiry.before_opening")


def test_an_order_update_needs_no_consent_and_an_alarm_waits_for_no_morning(api, world, db, box):
    at(db, box, world, datetime(2026, 3, 3, 3, 30, tzinfo=UTC))
    alert = ask(api, "security_alert", "stranger", message={"variables": {"what": "<new> login"}}).json()
    assert (alert["outcome"], alert["channel"], alert["content"]["body"]) == ("send_now", "push", "<new> login")
    assert alert["fallback_channels"] == ["sms", "email"]
    order = {"variables": {"order": "7", "state": "shipped"}}
    assert ask(api, "order_update", "stranger", message=order).json()["reason"] == "policy.rules"
    notice = ask(api, "account_notice", "stranger", message={"variables": {"notice": "n"}}).json()
    assert (notice["outcome"], notice["reason"]) == ("defer", "quiet_hours.now")


def test_a_request_can_only_narrow_the_channels(api, world):
    answer = ask(api, channels=["sms"]).json()
    assert answer["outcome"] == "suppress"
    assert {(each["channel"], each["reason"]) for each in answer["refusals"]} == {
        ("email", "channel.not_asked"),
        ("sms", "channel.not_offered"),
    }


def test_the_same_key_gets_the_same_decision_and_another_request_under_it_is_refused(api, world, db):
    first, second = ask(api, key="k-1"), ask(api, key="k-1")
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    other = ask(api, "coupon_b", key="k-1")
    assert (other.status_code, other.json()["code"]) == (422, "request.key_reused")
    assert count(db, world, decision) == 1


def test_fifty_at_once_under_one_key_get_one_decision(api, world, db):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: ask(api, key="k-2").json(), range(50)))
    assert {json.dumps(each, sort_keys=True) for each in answers} == {json.dumps(answers[0], sort_keys=True)}
    assert count(db, world, decision) == 1
    with db.tenant(world.tenant) as connection:
        assert connection.execute(select(audit.c.action)).scalars().all().count("decision.recorded") == 1


def count(db, tenant, table) -> int:
    with db.tenant(tenant.tenant) as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_key_of_another_tenant_is_another_key(api, world, db, box):
    from adapters.postgres.api_keys import ApiKeys

    other = Tenants(db, box).create(f"{world.tenant}-b", display_name="b", is_sandbox=True)[0]
    MessageTypes(db).publish(other, message_type_files.load(TYPES), actor="test")
    key = ApiKeys(db, box).issue(other.tenant, name="other")
    mine = ask(api, key="shared").json()
    body = {"recipient_id": "r", "message": {"type": "coupon_a"}}
    headers = {"Idempotency-Key": "shared", "Authorization": f"Bearer {key}"}
    theirs = api.post("/v1/decisions", json=body, headers=headers).json()
    assert mine["decision_id"] != theirs["decision_id"]
    assert api.get(f"/v1/decisions/{mine['decision_id']}", headers=headers).status_code == 404
    assert api.get(f"/v1/decisions/{mine['decision_id']}/explanation", headers=headers).status_code == 404


def test_an_explanation_speaks_in_three_voices_and_says_what_would_have_changed_it(api, world):
    decided = ask(api, recipient="stranger").json()
    where = f"/v1/decisions/{decided['decision_id']}/explanation"
    operator = api.get(where).json()
    assert {flip["kind"] for flip in operator["flips"]} == {"consent"}
    assert "With consent to email, email would have been permitted." in operator["sentences"]
    assert operator["contributions"] is None
    asked = api.get(where, params={"contributions": True}).json()
    assert asked["contributions_missing"] == "No model spoke to this decision."
    recipient = api.get(where, params={"voice": "recipient"}).json()
    assert (recipient["flips"], recipient["stages"]) == ([], [])
    assert recipient["sentences"][0].startswith("You were not sent this message.")
    assert any("class marketing" in each for each in api.get(where, params={"voice": "regulator"}).json()["sentences"])
    assert api.get(where, params={"voice": "lawyer"}).status_code == 422
    sent = api.get(f"/v1/decisions/{ask(api).json()['decision_id']}/explanation").json()
    assert sent["passed"]["email"]
    assert [stage["stage"] for stage in sent["stages"]] == ["channel", "variant"]


def test_only_whoever_may_test_policies_names_one_and_it_is_recorded(api, world, db, box):
    key = ApiKeys(db, box).issue(world.tenant, name="app", scopes=("decisions:write",))
    body = {"recipient_id": "r", "message": {"type": "coupon_a"}, "policy": "thompson"}
    headers = {"Authorization": f"Bearer {key}"}
    refused = api.post("/v1/decisions", json=body, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (403, "policy")
    assert api.post("/v1/decisions", json=body | {"policy": None}, headers=headers).status_code == 200
    answer = ask(api, policy="thompson").json()
    record = api.get(f"/v1/decisions/{answer['decision_id']}").json()
    assert record["request"]["policy"] == "thompson"
    assert {stage["name"]: stage["policy"] for stage in record["stages"]}["variant"] == "thompson_v1"


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"tenant": "other"}, "tenant"),
        ({"explain": "yes"}, "explain"),
        ({"channels": []}, "channels"),
        ({"channels": ["fax"]}, "channels.0"),
        ({"policy": "best"}, "policy"),
        ({"message": {"expires_at": "tomorrow"}}, "message.expires_at"),
        ({"message": {"priority": "highest"}}, "message.priority"),
        ({"message": {"class": "transactional"}}, "message.class"),
        ({"context": {"time_zone": "Mars/Olympus"}}, "context.time_zone"),
        ({"message": {"type": "unheard_of"}}, "message.type"),
        ({"message": {"variables": {"surplus": 1}}}, "message.variables"),
    ],
)
def test_a_bad_request_is_refused_by_field_and_decides_nothing(api, world, db, fields, place):
    answer = ask(api, **fields)
    assert answer.status_code == 422
    assert answer.json()["field"] == place
    assert count(db, world, decision) == 0


def test_the_record_names_nobody_and_says_everything(api, world, db):
    answer = ask(api, explain=True, message={"priority": "urgent", "urgency": "immediate"}).json()
    record = api.get(f"/v1/decisions/{answer['decision_id']}").json()
    assert [stage["probabilities"] for stage in record["stages"]] == [[0.0, 1.0], [0.5, 0.5]]
    assert record["request"]["message"] == {
        "type": "coupon_a", "priority": "urgent", "urgency": "immediate", "expires_at": None
    }  # fmt: skip
    assert record["versions"] == answer["versions"]
    assert record["consent_version"] == 1
    explained = api.get(f"/v1/decisions/{answer['decision_id']}/explanation").json()
    assert explained["sentences"] == answer["explanation"]
    with db.tenant(world.tenant) as connection:
        rows = [row._mapping for table in (decision, audit) for row in connection.execute(select(table))]
    kept = json.dumps([dict(row) for row in rows], default=str)
    assert '"r"' not in kept
    assert answer["content"]["subject"] not in kept


def test_unknown_decisions_are_not_found(api, world):
    for path in ("/v1/decisions/no-such-id", "/v1/decisions/no-such-id/explanation"):
        assert api.get(path).status_code == 404


@pytest.mark.parametrize(
    ("country", "said", "is_allowed"),
    [("FR", (), False), ("FR", ("given",), True), ("US", (), True), ("US", ("given", "withdrawn"), False)],
)
def test_an_answer_says_whether_the_sender_may_track_opens(api, db, tenant, country, said, is_allowed):
    MessageTypes(db).publish(tenant, [a_type(channels=["email"], **{"class": "transactional"})], actor="t")
    api.put("/v1/recipients/r/profile", json={"country": country})
    for status in said:
        api.post("/v1/recipients/r/consents", json={"purpose": "open_tracking", "status": status, "source": "t"})
    answer = api.post("/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}}).json()
    assert (answer["outcome"], answer["open_tracking"]["is_allowed"]) == ("send_now", is_allowed)
    assert answer["open_tracking"]["rule"] == ("cnil.open_tracking" if country == "FR" else None)
    record = api.get(f"/v1/decisions/{answer['decision_id']}").json()
    assert record["open_tracking"] == answer["open_tracking"]
