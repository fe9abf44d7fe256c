"""Preferences over HTTP: versions, who won, what is refused, and that a decision obeys them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, text

from adapters.postgres.consent import ConsentStore
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import audit
from adapters.postgres.tenants import Tenants
from domain.consent import ConsentChange, ConsentStatus
from domain.identity import subject_key
from domain.values import Purpose
from tests.builders import NOON, a_type

HELD = {("defer", "preference.frequency"), ("suppress", "preference.frequency"), ("suppress", "policy.no_send")}
OFF = {"value": {"enabled": False}}
EMAIL_OFF = {"scope": {"channel": "email"}, "value": {"enabled": False}}
BASE = "/v1/recipients/r/preferences"


@pytest.fixture
def published(db, box, tenant):
    """It is noon, and ``r`` may be sent marketing."""
    Tenants(db, box).shift_clock(tenant.tenant, (NOON - datetime.now(UTC)).total_seconds())
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    grant = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, effective_at=NOON, source="test")
    ConsentStore(db).record(tenant, "r", [grant], actor="test", now=NOON)


def decide(api, **body):
    answer = api.post("/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refusals(api):
    return {each["channel"]: (each["reason"], each["rule"]) for each in decide(api)["refusals"]}


def test_a_preference_is_what_was_put_in_versions(api):
    assert api.get(BASE).json() == {"preferences": []}
    first = api.put(BASE, json=EMAIL_OFF)
    assert (first.status_code, first.headers["etag"], first.json()["version"]) == (200, '"1"', 1)
    where = f"{BASE}/{first.json()['preference_id']}"
    assert api.put(BASE, json=EMAIL_OFF | {"value": {"enabled": True}}).headers["etag"] == '"2"'
    assert api.get(where).json()["preference"]["value"]["enabled"] is True
    assert api.delete(where).status_code == 204
    assert api.get(where).status_code == api.delete(where).status_code == 404
    assert api.put(BASE, json=EMAIL_OFF).json()["version"] == 4
    versions = api.get(f"{where}/history").json()["versions"]
    assert [(v["version"], v["is_deleted"]) for v in versions] == [(1, False), (2, False), (3, True), (4, False)]
    assert versions[0]["preference"]["value"]["enabled"] is False


def test_only_the_version_that_was_seen_is_changed(api):
    assert api.put(BASE, json=OFF, headers={"If-Match": '"0"'}).status_code == 200
    late = api.put(BASE, json=OFF, headers={"If-Match": '"0"'})
    assert (late.status_code, late.json()["code"]) == (412, "preference.version_conflict")
    where = f"{BASE}/{api.get(BASE).json()['preferences'][0]['preference_id']}"
    assert api.delete(where, headers={"If-Match": '"9"'}).status_code == 412
    assert api.delete(where, headers={"If-Match": '"1"'}).status_code == 204


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"value": {}}, 422, "value"),
        ({"value": {"enabled": "yes"}}, 422, "value.enabled"),
        ({"value": {"enabled": True}, "scope": {"channel": "fax"}}, 422, "scope.channel"),
        ({"value": {"windows": {"monday": [{"start": "09:10", "end": "10:00"}]}}}, 422, "value.windows.monday.0.start"),
        ({"value": {"settings": {"a": 1}}}, 409, "value.settings"),
        ({"value": {"enabled": True}, "consent": True}, 422, "consent"),
    ],
)
def test_what_is_no_preference_is_refused_by_field_and_not_stored(api, body, status, field):
    answer = api.put(BASE, json=body)
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert api.get(BASE).json() == {"preferences": []}


def test_the_policy_has_versions_and_gives_settings_their_schema(api):
    assert api.get("/v1/preferences/policy").json()["version"] == 0
    schema = {"type": "object", "properties": {"hour": {"type": "integer"}}, "additionalProperties": False}
    policy = {"defaults": [EMAIL_OFF], "settings_schema": schema}
    assert api.put("/v1/preferences/policy", json=policy).headers["etag"] == '"1"'
    assert api.put("/v1/preferences/policy", json=policy).headers["etag"] == '"1"'
    assert api.put("/v1/preferences/policy", json={}, headers={"If-Match": '"0"'}).status_code == 412
    assert api.put(BASE, json={"value": {"settings": {"hour": 9}}}).status_code == 200
    bad = api.put(BASE, json={"value": {"settings": {"hour": "nine"}}})
    assert (bad.status_code, bad.json()["field"]) == (409, "value.settings.hour")


def test_what_a_set_would_mean_is_told_without_storing_it(api):
    on = {"scope": {"category": "news"}, "value": {"enabled": True}}
    verdict = api.post("/v1/preferences/validate", json={"preferences": [OFF, on, OFF]}).json()
    assert (verdict["is_valid"], [each["field"] for each in verdict["problems"]]) == (False, ["2.scope"])
    assert {each["field"] for each in verdict["conflicts"]} == {"1.value.enabled"}
    assert api.get(BASE).json() == {"preferences": []}


def test_every_channel_tells_what_it_can_do(api):
    channels = {each["channel"]: each["capabilities"] for each in api.get("/v1/channels").json()["channels"]}
    assert set(channels) == {"email", "sms", "push", "in_app", "web", "voice"}
    assert channels["sms"]["body_characters"] == 160


def test_a_decision_obeys_and_names_the_preference(api, published):
    stored = api.put(BASE, json=EMAIL_OFF).json()
    assert refusals(api)["email"] == ("preference.off", stored["preference_id"])
    api.delete(f"{BASE}/{stored['preference_id']}")
    assert refusals(api) == {}


def test_who_won_and_whom_it_beat_is_told(api, published):
    api.put("/v1/preferences/policy", json={"defaults": [{"value": {"frequency": "daily"}}]})
    api.put(BASE, json=OFF)
    on = api.put(BASE, json={"scope": {"channel": "email", "category": "news"}, "value": {"enabled": True}}).json()
    found = api.get(f"{BASE}/resolved", params={"type": "news", "channel": "email"}).json()
    assert (found["enabled"]["value"], found["enabled"]["rule"]["id"]) == (True, on["preference_id"])
    assert [rule["kind"] for rule in found["enabled"]["beaten"]] == ["global", "built_in"]
    assert (found["frequency"]["value"], found["frequency"]["rule"]["level"]) == ("daily", "tenant_default")
    assert api.get(f"{BASE}/resolved", params={"type": "nothing", "channel": "email"}).status_code == 422


def test_what_holds_counts_channel_switches_and_consent_too(api, published):
    def enabled():
        found = api.get(f"{BASE}/resolved", params={"type": "news", "channel": "email"}).json()["enabled"]
        return found["value"], found["rule"]["level"], found["rule"]["id"]

    api.put(BASE, json={"value": {"enabled": True}})
    assert enabled()[:2] == (True, "recipient")
    api.put("/v1/recipients/r/channels/email", json={"is_on": False})
    assert enabled() == (False, "channel_switch", "channel.switched_off")
    api.post("/v1/recipients/r/consents/withdraw", json={})
    assert enabled() == (False, "law", "consent.withdrawn")


def test_circumstances_and_settings_are_not_kept_in_clear(api, db, tenant):
    api.put("/v1/preferences/policy", json={"settings_schema": {"type": "object"}})
    hidden = {"scope": {"context": {"location": "canary-place"}}, "value": {"settings": {"a": "canary-word"}}}
    stored = api.put(BASE, json=hidden).json()
    assert stored["preference"]["scope"]["context"] == {"location": "canary-place"}
    with db.tenant(tenant.tenant) as connection:
        rows = [str(row) for table in ("preference", "preference_version", "audit")
                for row in connection.execute(text(f"SELECT row_to_json(t)::text FROM {table} t"))]  # fmt: skip
    assert rows
    assert not any("canary" in row for row in rows)


def test_every_change_and_reading_is_audited(api, db, tenant):
    stored = api.put(BASE, json=OFF).json()
    api.get(BASE)
    api.delete(f"{BASE}/{stored['preference_id']}")
    whose = audit.c.subject_key == subject_key(tenant.subject_secret, "r")
    with db.tenant(tenant.tenant) as connection:
        actions = connection.execute(select(audit.c.action).where(whose).order_by(audit.c.audit_id)).scalars().all()
    assert actions == ["preference.written", "preference.read", "preference.deleted"]


def test_a_deleted_recipient_gets_no_new_preference(api):
    api.delete("/v1/recipients/r/profile")
    assert api.put(BASE, json=OFF).status_code == 404


def test_of_many_decisions_at_once_only_as_many_send_as_was_chosen(api, published, db, tenant):
    """Daily means one a day: whoever asks at the same time is told to wait."""
    api.put(BASE, json={"scope": {"category": "news"}, "value": {"frequency": "daily"}})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: decide(api), range(24)))
    sent = [each for each in answers if each["outcome"] == "send_now"]
    assert len(sent) == 1
    held = {(each["outcome"], each["reason"]) for each in answers if each["outcome"] != "send_now"}
    # Rules draw between sending and not, so some were not sent by chance.
    assert {("defer", "preference.frequency")} <= held <= HELD
