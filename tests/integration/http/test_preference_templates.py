"""Templates over HTTP: versions, who gets one, that decisions obey and name it, and that a roll-back restores."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from adapters.postgres.consent import ConsentStore
from adapters.postgres.engine import Database
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import audit
from adapters.postgres.tenants import Tenants
from domain.consent import ConsentChange, ConsentStatus
from domain.identity import subject_key
from domain.ingest import parse
from domain.values import Purpose
from tests.builders import NOON, a_type
from tests.integration.http.test_bulk_preferences import finished

BASE = "/v1/preferences/templates"
MINE = "/v1/recipients/r/preferences"
OFF = {"preference": {"value": {"enabled": False}}}
WEEKLY = {"preference": {"scope": {"category": "news"}, "value": {"frequency": "weekly"}}}
EMAIL_OFF = {"preference": {"scope": {"channel": "email"}, "value": {"enabled": False}}}
FRENCH = {"field": "profile.country", "equals": "FR"}


def template(*values, **fields):
    return {"type": "segment", "description": "For those who like it calm", "values": list(values) or [OFF]} | fields


def allow(db, tenant, who, purpose=Purpose.MARKETING):
    grant = ConsentChange(purpose=purpose, status=ConsentStatus.GIVEN, effective_at=NOON, source="test")
    ConsentStore(db).record(tenant, who, [grant], actor="test", now=NOON)


@pytest.fixture
def published(db: Database, box, tenant):
    """It is noon, and ``r`` may be sent marketing."""
    Tenants(db, box).shift_clock(tenant.tenant, (NOON - datetime.now(UTC)).total_seconds())
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    allow(db, tenant, "r")


def put(api, name, *values, **fields):
    answer = api.put(f"{BASE}/{name}", json=template(*values, **fields))
    assert answer.status_code == 200, answer.text
    return answer.json()


def wear(api, name, who="r", **fields):
    answer = api.put(f"/v1/recipients/{who}/preferences/template", json={"template_id": name} | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()["membership"]


def worn(api, who="r"):
    found = api.get(f"/v1/recipients/{who}/preferences/template").json()["membership"]
    return found and (found["template_id"], found["version"], found["held"])


def resolved(api, channel="email"):
    return api.get(f"{MINE}/resolved", params={"type": "news", "channel": channel}).json()


def test_a_template_has_versions_that_are_never_changed(api):
    first = api.put(f"{BASE}/calm", json=template(), headers={"If-Match": '"0"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"1"')
    assert first.json()["author"].startswith("key:")
    assert api.put(f"{BASE}/calm", json=template()).headers["etag"] == '"1"'
    assert api.put(f"{BASE}/calm", json=template(EMAIL_OFF), headers={"If-Match": '"1"'}).headers["etag"] == '"2"'
    late = api.put(f"{BASE}/calm", json=template(WEEKLY), headers={"If-Match": '"1"'})
    assert (late.status_code, late.json()["code"]) == (412, "template.version_conflict")
    old = api.get(f"{BASE}/calm", params={"version": 1}).json()
    assert old == first.json()
    assert [each["version"] for each in api.get(f"{BASE}/calm/versions").json()["versions"]] == [1, 2]
    put(api, "another")
    listed = api.get(BASE).json()["templates"]
    assert [(each["template_id"], each["version"]) for each in listed] == [("another", 1), ("calm", 2)]
    assert api.get(f"{BASE}/none").status_code == api.get(f"{BASE}/calm", params={"version": 9}).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "field", "expected"),
    [
        (template(type="magic"), 422, "type", ""),
        (template() | {"values": []}, 422, "values", ""),
        (template(OFF, OFF), 422, "", "values.1.scope"),
        (template(conditions={"and": [FRENCH, {"field": "profile.colour", "exists": True}]}), 422, "conditions",
         "and.1.field must be"),
        (template(OFF | {"when": {"xor": []}}), 422, "values.0.when", "a rule"),
        (template(audiences=[{"name": "a", "rule": FRENCH}] * 2), 422, "", "audiences"),
        (template({"preference": {"value": {"settings": {"a": 1}}}}), 409, "values.0.preference.value.settings", ""),
        (template(consent=True), 422, "consent", ""),
        ({**template(), "values": [OFF | {"consent": "given"}]}, 422, "values.0.consent", ""),
    ],
)  # fmt: skip
def test_what_is_no_template_is_refused_by_field_and_not_stored(api, body, status, field, expected):
    answer = api.put(f"{BASE}/calm", json=body)
    assert (answer.status_code, answer.json().get("field")) == (status, field)
    assert expected in answer.json()["errors"][0]["expected"]
    assert api.get(BASE).json() == {"templates": []}


def test_a_tenant_has_only_so_many_templates_and_may_still_change_those(api, monkeypatch):
    monkeypatch.setattr("adapters.postgres.preference_templates.MAX_TEMPLATES", 1)
    put(api, "calm")
    refused = api.put(f"{BASE}/another", json=template())
    assert (refused.status_code, refused.json()["field"]) == (409, "template_id")
    assert put(api, "calm", EMAIL_OFF)["version"] == 2


def test_a_template_stands_above_the_default_and_below_everything_the_recipient_chose(api, published):
    api.put("/v1/preferences/policy", json={"defaults": [{"value": {"enabled": True, "frequency": "immediate"}}]})
    put(api, "calm", OFF, WEEKLY)
    assert resolved(api)["enabled"]["rule"]["level"] == "tenant_default"
    wear(api, "calm")
    enabled, frequency = (resolved(api)[name] for name in ("enabled", "frequency"))
    assert (enabled["value"], enabled["rule"]["level"]) == (False, "template")
    assert enabled["rule"]["id"].startswith("calm@1:")
    assert [rule["level"] for rule in enabled["beaten"]] == ["tenant_default", "built_in"]
    assert (frequency["value"], frequency["rule"]["kind"]) == ("weekly", "category")
    api.put(MINE, json={"value": {"enabled": True}})
    enabled = resolved(api)["enabled"]
    assert (enabled["value"], enabled["rule"]["level"]) == (True, "recipient")
    assert enabled["beaten"][0]["id"].startswith("calm@1:")


def test_a_decision_obeys_the_template_and_names_it(api, published):
    put(api, "calm", EMAIL_OFF)
    wear(api, "calm")
    answer = api.post("/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}}).json()
    [refusal] = answer["refusals"]
    assert (refusal["channel"], refusal["reason"]) == ("email", "preference.off")
    assert refusal["rule"].startswith("calm@1:")
    record = api.get(f"/v1/decisions/{answer['decision_id']}").json()
    assert record["allowances"]["template"] == "calm@1"


def test_a_template_that_limits_how_often_is_counted_like_a_preference(api, published):
    put(api, "calm", WEEKLY)
    wear(api, "calm")
    ask = {"recipient_id": "r", "message": {"type": "news"}}
    answers = [api.post("/v1/decisions", json=ask).json() for _ in range(12)]
    sent = [each for each in answers if each["outcome"] == "send_now"]
    assert len(sent) == 1
    held = next(each for each in answers if each["outcome"] == "defer")
    assert held["reason"] == "preference.frequency"


def test_a_template_opens_no_gate_above_it(api, db, tenant, published):
    """Whatever it enables: without consent, on a switched-off channel or for the deleted nothing is sent."""
    everything = {"preference": {"value": {"enabled": True, "frequency": "immediate"}}}
    put(api, "loud", everything, {"preference": {"scope": {"channel": "email"}, "value": {"enabled": True}}})
    wear(api, "loud")
    api.put("/v1/recipients/r/channels/email", json={"is_on": False})
    assert resolved(api)["enabled"]["rule"]["level"] == "channel_switch"
    api.post("/v1/recipients/r/consents/withdraw", json={})
    assert resolved(api)["enabled"]["rule"]["id"] == "consent.withdrawn"
    answer = api.post("/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}}).json()
    assert {each["reason"] for each in answer["refusals"]} == {"consent.withdrawn"}
    wear(api, "loud", who="nobody-asked")
    answer = api.post("/v1/decisions", json={"recipient_id": "nobody-asked", "message": {"type": "news"}}).json()
    assert {each["reason"] for each in answer["refusals"]} == {"consent.missing"}
    with db.tenant(tenant.tenant) as connection:
        rows = connection.execute(text("SELECT count(*) FROM consent_record WHERE recipient_id = 'nobody-asked'"))
        assert rows.scalar_one() == 0


def test_only_whom_the_conditions_are_true_of_gets_it_and_the_values_for_them(api):
    adult = {"field": "profile.age", "greater_than": 17}
    put(api, "calm", OFF | {"when": adult}, EMAIL_OFF, conditions=FRENCH)
    refused = api.put(f"{MINE}/template", json={"template_id": "calm"})
    assert (refused.status_code, refused.json()["code"]) == (409, "template.conditions_not_met")
    assert worn(api) is None
    api.put("/v1/recipients/r/profile", json={"country": "FR"})
    assert wear(api, "calm")["held"] == [1], "an age nobody knows is no age above 17"
    api.put("/v1/recipients/r/profile", json={"country": "FR", "age": 18})
    assert wear(api, "calm")["held"] == [0, 1]
    api.delete("/v1/recipients/r/profile")
    assert api.put(f"{MINE}/template", json={"template_id": "calm"}).status_code == 404


def test_behaviour_counts_only_for_who_allowed_personalization(api, db, tenant, published):
    event = {"source": "s", "event_id": "1", "type": "clicked", "channel": "email", "recipient_id": "r"}
    items = [parse(event | {"occurred_at": (NOON - timedelta(days=1)).isoformat()}, 0)]
    log = EventLog(db, EventEffects(), retention=timedelta(days=365))
    assert log.append(tenant, items, origin="api", received_at=NOON, now=NOON)[0].verdict == "stored"
    few = {"count": {"event": "clicked", "days": 30}, "less_than": 5}
    put(api, "calm", conditions=few)
    assert api.put(f"{MINE}/template", json={"template_id": "calm"}).status_code == 409
    allow(db, tenant, "r", Purpose.PERSONALIZATION)
    assert wear(api, "calm")["version"] == 1
    put(api, "calm", conditions={"count": {"event": "clicked", "days": 30, "channel": "sms"}, "greater_than": 0})
    assert api.put(f"{MINE}/template", json={"template_id": "calm"}).status_code == 409


def test_a_new_version_reaches_members_when_it_is_applied_to_them(api, published):
    put(api, "calm", OFF)
    wear(api, "calm")
    put(api, "calm", EMAIL_OFF)
    assert resolved(api, "push")["enabled"]["value"] is False
    wear(api, "calm")
    assert resolved(api, "push")["enabled"]["value"] is True
    wear(api, "calm", version=1)
    assert resolved(api, "push")["enabled"]["rule"]["id"].startswith("calm@1:")
    assert api.delete(f"{MINE}/template").status_code == 204
    assert api.delete(f"{MINE}/template").status_code == 404
    assert resolved(api, "push")["enabled"]["rule"]["level"] == "built_in"


def test_many_get_it_by_a_job_with_a_verdict_on_each(api):
    api.put("/v1/recipients/r0/profile", json={"country": "DE"})
    api.delete("/v1/recipients/r1/profile")
    for number in range(2, 60):
        api.put(f"/v1/recipients/r{number}/profile", json={"country": "FR"})
    put(api, "calm", conditions=FRENCH)
    wear(api, "calm", who="r2")
    named = [f"r{number}" for number in range(60)]
    answer = api.post(f"{BASE}/calm/apply", json={"recipient_ids": named})
    assert answer.status_code == 202
    job = finished(api, answer.json()["job"]["job_id"])
    assert (job["done"], job["refused"]) == (60, 2)
    verdicts = api.get(f"/v1/jobs/{job['job_id']}/results").json()["results"]
    assert "conditions" in verdicts[0]["detail"]["expected"]
    assert "deleted" in verdicts[1]["detail"]["expected"]
    assert [each["detail"]["outcome"] for each in verdicts[2:4]] == ["unchanged", "changed"]
    assert worn(api, "r59") == ("calm", 1, [0])
    assert worn(api, "r0") is worn(api, "r1") is None


def test_an_audience_is_found_by_its_rule(api):
    for who, country in (("a", "FR"), ("b", "DE"), ("c", "FR")):
        api.put(f"/v1/recipients/{who}/profile", json={"country": country})
    assert put(api, "calm", audiences=[{"name": "french", "rule": FRENCH}])
    assert api.post(f"{BASE}/calm/audiences/german/apply", json={}).status_code == 404
    answer = api.post(f"{BASE}/calm/audiences/french/apply", json={}).json()
    job = finished(api, answer["job"]["job_id"])
    assert (job["done"], job["refused"]) == (3, 0)
    assert [worn(api, who) for who in "abc"] == [("calm", 1, [0]), None, ("calm", 1, [0])]


def test_an_audience_of_nobody_is_done_at_once(api):
    put(api, "calm", audiences=[{"name": "french", "rule": FRENCH}])
    answer = api.post(f"{BASE}/calm/audiences/french/apply", json={}).json()
    assert (answer["total"], answer["job"]) == (0, None)


def roll_back(api, application_id):
    answer = api.post(f"/v1/preferences/template-applications/{application_id}/roll-back")
    assert answer.status_code == 202, answer.text
    job = answer.json()["rollback_job"]
    return finished(api, job["job_id"]) if job else None


def test_a_roll_back_restores_exactly_what_was_changed_unless_it_was_changed_since(api):
    put(api, "first")
    put(api, "second", EMAIL_OFF)
    wear(api, "first", who="had-one")
    wear(api, "second", who="had-it")
    named = ["had-one", "had-none", "had-it", "changes", "leaves"]
    answer = api.post(f"{BASE}/second/apply", json={"recipient_ids": named}).json()
    finished(api, answer["job"]["job_id"])
    wear(api, "first", who="changes")
    api.delete("/v1/recipients/leaves/preferences/template")
    wear(api, "second", who="came-later")
    job = roll_back(api, answer["application_id"])
    assert (job["done"], job["refused"]) == (4, 2), "who had it already was not changed, so is not touched"
    now = {who: worn(api, who) for who in [*named, "came-later"]}
    assert now == {
        "had-one": ("first", 1, [0]),
        "had-none": None,
        "had-it": ("second", 1, [0]),
        "changes": ("first", 1, [0]),
        "leaves": None,
        "came-later": ("second", 1, [0]),
    }
    again = api.post(f"/v1/preferences/template-applications/{answer['application_id']}/roll-back")
    assert (again.status_code, again.json()["code"]) == (409, "template.cannot_roll_back")


def test_roll_backs_in_reverse_order_lead_back_to_the_beginning(api):
    put(api, "first")
    put(api, "second", EMAIL_OFF)
    applied = [wear(api, name)["application_id"] for name in ("first", "second")]
    roll_back(api, applied[1])
    assert worn(api) == ("first", 1, [0])
    roll_back(api, applied[0])
    assert worn(api) is None
    nobody = "/v1/preferences/template-applications/00000000-0000-0000-0000-000000000000"
    assert api.get(nobody).status_code == api.post(f"{nobody}/roll-back").status_code == 404


def test_feedback_is_kept_by_version_and_its_words_not_in_clear(api, db, tenant):
    put(api, "calm")
    assert api.post(f"{BASE}/calm/feedback", json={"rating": 4, "comment": "canary-words"}).status_code == 204
    put(api, "calm", EMAIL_OFF)
    assert api.post(f"{BASE}/calm/feedback", json={"rating": 1}).status_code == 204
    said = api.get(f"{BASE}/calm/feedback").json()["feedback"]
    assert [(each["version"], each["rating"], each["comment"]) for each in said] == [
        (2, 1, None),
        (1, 4, "canary-words"),
    ]
    assert api.post(f"{BASE}/calm/feedback", json={"rating": 6}).json()["field"] == "rating"
    assert api.post(f"{BASE}/none/feedback", json={"rating": 5}).status_code == 404
    with db.tenant(tenant.tenant) as connection:
        rows = connection.execute(text("SELECT row_to_json(t)::text FROM template_feedback t")).scalars().all()
    assert len(rows) == 2
    assert not any("canary" in row for row in rows)


def test_every_change_of_a_recipients_template_is_audited(api, db, tenant):
    put(api, "calm")
    application = wear(api, "calm")["application_id"]
    worn(api)
    roll_back(api, application)
    wear(api, "calm")
    api.delete(f"{MINE}/template")
    whose = audit.c.subject_key == subject_key(tenant.subject_secret, "r")
    with db.tenant(tenant.tenant) as connection:
        actions = connection.execute(select(audit.c.action).where(whose).order_by(audit.c.audit_id)).scalars().all()
    done = [action.removeprefix("preference_template.") for action in actions]
    assert done == ["applied", "read", "rolled_back", "applied", "left"]


def test_a_template_of_another_tenant_is_not_there(server, api, db, box, tenant):
    from adapters.postgres.api_keys import ApiKeys

    put(api, "calm")
    other, _ = Tenants(db, box).create(f"{tenant.tenant}-b", display_name="b")
    theirs = {"X-API-Key": ApiKeys(db, box).issue(other.tenant, name="b")}
    assert server.get(f"{BASE}/calm", headers=theirs).status_code == 404
    body = {"template_id": "calm"}
    assert server.put(f"{MINE}/template", json=body, headers=theirs).status_code == 404


def preview(api, name, who="r", **fields):
    answer = api.post(f"{BASE}/{name}/preview", json={"recipient_id": who} | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_preview_tells_what_would_change_and_changes_nothing(api, published):
    put(api, "calm", EMAIL_OFF, WEEKLY, conditions=FRENCH)
    found = preview(api, "calm")
    assert (found["outcome"], found["changes"]) == ("conditions_not_met", [])
    [reason] = found["reasons"]
    assert (reason["field"], reason["fact"], reason["truth"]) == ("conditions", "profile.country", None)
    api.put("/v1/recipients/r/profile", json={"country": "FR"})
    before = {channel: resolved(api, channel) for channel in ("email", "push")}
    found = preview(api, "calm")
    assert (found["outcome"], found["held"], found["reasons"][0]["truth"]) == ("changed", [0, 1], True)
    told = {(each["channel"], each["field"]): (each["before"], each["after"]) for each in found["changes"]}
    assert told == {
        ("email", "enabled"): (True, False),
        ("email", "frequency"): ("immediate", "weekly"),
        ("push", "frequency"): ("immediate", "weekly"),
    }
    assert worn(api) is None
    assert {channel: resolved(api, channel) for channel in before} == before
    wear(api, "calm")
    assert resolved(api, "email")["enabled"]["rule"] == found["changes"][0]["rule_after"]
    again = preview(api, "calm")
    assert (again["outcome"], again["changes"]) == ("unchanged", [])
    assert api.post(f"{BASE}/none/preview", json={"recipient_id": "r"}).status_code == 404


def test_a_preview_of_what_the_recipient_overrules_is_empty(api, published):
    api.put(MINE, json={"value": {"enabled": True, "frequency": "daily"}})
    put(api, "calm", OFF | {"preference": {"value": {"enabled": False, "frequency": "never"}}})
    assert preview(api, "calm")["changes"] == []


def test_a_sample_is_counted_and_names_nobody(api, db, tenant, published):
    for number in range(12):
        allow(db, tenant, f"person{number}")
        api.put(f"/v1/recipients/person{number}/profile", json={"country": "FR" if number < 11 else "DE"})
    put(api, "calm", EMAIL_OFF, conditions=FRENCH, audiences=[{"name": "german", "rule": {"not": FRENCH}}])
    answer = api.post(f"{BASE}/calm/preview/sample", json={})
    found = answer.json()
    assert (found["sampled"], found["outcomes"]) == (12, {"changed": 11, "conditions_not_met": None})
    assert found["changes"] == [{"message_type": "news", "channel": "email", "field": "enabled", "recipients": 11}]
    assert "person" not in answer.text
    put(api, "calm", EMAIL_OFF, audiences=[{"name": "german", "rule": {"not": FRENCH}}])
    few = api.post(f"{BASE}/calm/preview/sample", json={"audience": "german"}).json()
    assert few["outcomes"] == {"changed": None, "not_in_audience": 11}
    assert [each["recipients"] for each in few["changes"]] == [None]
    assert api.post(f"{BASE}/calm/preview/sample", json={"audience": "dutch"}).status_code == 404
