"""Profiles, consents and channel switches over HTTP: versions, merging, the denial that wins, and the audit trail."""

import pytest
from sqlalchemy import select

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.profile_tables import profile_version
from adapters.postgres.tables import audit
from adapters.postgres.tenants import Tenants
from domain.identity import subject_key

PROFILE = {
    "locale": "fr-CA",
    "country": "CA",
    "time_zone": {"name": "America/Toronto", "source": "declared", "confidence": 0.9},
    "channels": {"push": {"reachable": False}},
    "attributes": {"plan": "gold", "children": 2},
}
UNSAID = {
    "language": None,
    "region": None,
    "city": None,
    "age": None,
    "job_role": None,
    "industry": None,
    "experience": None,
    "content": None,
    "source": None,
    "skills": [],
}
WHOLE = {
    "locale": "fr-CA",
    "language": "fr",
    "country": "CA",
    "region": "Québec",
    "city": "Laval",
    "age": 41,
    "job_role": "nurse",
    "industry": "health",
    "experience": "senior",
    "skills": ["triage", "first aid"],
    "content": {"topics": ["sleep"], "tone": "friendly", "length": "short"},
    "source": "declared",
    "time_zone": {"name": "America/Toronto", "source": "declared", "confidence": 1.0},
    "channels": {},
    "attributes": {},
}
GRANT = {"purpose": "marketing", "status": "given", "source": "web_form", "text_version": "v7", "proof": {"ip": "::1"}}


@pytest.fixture
def put(api):
    def put(body, recipient="r", **headers):
        return api.put(f"/v1/recipients/{recipient}/profile", json=body, headers=headers)

    return put


def actions(db, tenant, recipient="r"):
    whose = audit.c.subject_key == subject_key(tenant.subject_secret, recipient)
    with db.tenant(tenant.tenant) as connection:
        return list(connection.execute(select(audit.c.action).where(whose).order_by(audit.c.audit_id)).scalars())


def test_a_profile_is_what_was_put(api, put):
    assert api.get("/v1/recipients/r/profile").status_code == 404
    answer = put(PROFILE)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')
    assert api.get("/v1/recipients/r/profile").json() == {
        "version": 1,
        "profile": PROFILE | UNSAID,
        "quality": 0.31,
    }
    put({"country": "FR"})
    kept = api.get("/v1/recipients/r/profile").json()
    assert (kept["version"], kept["profile"]["country"], kept["profile"]["locale"]) == (2, "FR", None)


def test_everything_said_about_a_person_is_kept_and_a_complete_profile_has_full_quality(api, put):
    assert put(WHOLE).json() == {"version": 1, "profile": WHOLE, "quality": 1.0}
    assert api.patch("/v1/recipients/r/profile", json={"content": None, "age": 0}).json()["quality"] == 0.9417


def test_every_version_is_kept_with_who_wrote_it_until_the_recipient_is_deleted(api, put, db, tenant):
    for body in (WHOLE, PROFILE, {}):
        put(body)
    told = api.get("/v1/recipients/r/profile/history").json()["versions"]
    assert [each["version"] for each in told] == [3, 2, 1]
    assert told[2]["profile"] == WHOLE
    assert told[1]["profile"] == PROFILE | UNSAID
    assert {each["actor"].split(":")[0] for each in told} == {"key"}
    older = api.get("/v1/recipients/r/profile/history?before=3&limit=1").json()["versions"]
    assert [each["version"] for each in older] == [2]
    assert api.get("/v1/recipients/nobody/profile/history").status_code == 404
    assert api.get("/v1/recipients/r/profile/history?limit=0").json()["field"] == "query.limit"
    assert actions(db, tenant)[-2:] == ["profile.history_read", "profile.history_read"]
    api.delete("/v1/recipients/r/profile")
    assert api.get("/v1/recipients/r/profile/history").status_code == 404
    with db.tenant(tenant.tenant) as connection:
        assert connection.execute(select(profile_version)).all() == []


def test_only_the_version_that_was_seen_is_changed(put):
    put(PROFILE)
    assert put(PROFILE, **{"If-Match": '"1"'}).status_code == 200
    late = put({}, **{"If-Match": '"1"'})
    assert (late.status_code, late.json()["code"]) == (412, "profile.version_conflict")
    assert put({}, **{"If-Match": "1"}).status_code == 422


def test_a_patch_changes_what_it_names(api, put):
    put(PROFILE)
    body = {"locale": None, "channels": {"email": {"reachable": True}}, "attributes": {"plan": None, "vip": True}}
    changed = api.patch("/v1/recipients/r/profile", json=body).json()["profile"]
    assert changed == PROFILE | UNSAID | {
        "locale": None,
        "channels": {"push": {"reachable": False}, "email": {"reachable": True}},
        "attributes": {"children": 2, "vip": True},
    }
    assert api.patch("/v1/recipients/nobody/profile", json=body).status_code == 404
    assert api.patch("/v1/recipients/r/profile", json={}).status_code == 422


def test_a_weaker_source_does_not_move_a_declared_zone(api, put):
    put(PROFILE)
    weaker = {"time_zone": {"name": "Asia/Tokyo", "source": "network", "confidence": 1.0}}
    stronger = {"time_zone": {"name": "Asia/Tokyo", "source": "declared", "confidence": 0.1}}
    for body, zone in ((weaker, "America/Toronto"), (stronger, "Asia/Tokyo")):
        kept = api.patch("/v1/recipients/r/profile", json=body).json()["profile"]
        assert kept["time_zone"]["name"] == zone


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"locale": "French"}, "locale"),
        ({"country": "Canada"}, "country"),
        ({"time_zone": {"name": "Mars/Olympus", "source": "device"}}, "time_zone.name"),
        ({"time_zone": {"name": "UTC", "source": "rumour"}}, "time_zone.source"),
        ({"time_zone": {"name": "UTC", "source": "device", "confidence": 1.1}}, "time_zone.confidence"),
        ({"channels": {"fax": {"reachable": True}}}, "channels.fax"),
        ({"channels": {"sms": {"reachable": "yes"}}}, "channels.sms.reachable"),
        ({"attributes": {f"a{i}": 1 for i in range(65)}}, "attributes"),
        ({"attributes": {"Spaced Name": 1}}, "attributes.Spaced Name"),
        ({"attributes": {"long": "x" * 501}}, "attributes.long"),
        ({"age": 151}, "age"),
        ({"age": "41"}, "age"),
        ({"language": "fr-CA"}, "language"),
        ({"city": ""}, "city"),
        ({"experience": "guru"}, "experience"),
        ({"skills": ["x"] * 51}, "skills"),
        ({"content": {"tone": "rude"}}, "content.tone"),
        ({"source": "rumour"}, "source"),
        ({"phone": "+1"}, "phone"),
    ],
)
def test_what_is_no_profile_is_refused_by_field(api, put, body, field):
    answer = put(body)
    assert answer.status_code == 422
    assert answer.json()["field"].startswith(field)
    assert api.get("/v1/recipients/r/profile").status_code == 404


def test_a_deleted_recipient_is_forgotten_and_stays_so(api, put, db, tenant):
    put(PROFILE)
    assert api.delete("/v1/recipients/r/profile").status_code == 204
    assert api.get("/v1/recipients/r/profile").status_code == 404
    assert api.delete("/v1/recipients/r/profile").status_code == 404
    assert put(PROFILE).status_code == 404
    assert actions(db, tenant) == ["profile.written", "profile.deleted"]


def test_a_recipient_without_a_profile_can_be_deleted(api, put, db, tenant):
    assert api.delete("/v1/recipients/known-by-events/profile").status_code == 204
    assert put(PROFILE, "known-by-events").status_code == 404


def test_a_grant_is_kept_with_its_proof_and_a_withdrawal_takes_an_empty_object(api, db, tenant):
    given = api.post("/v1/recipients/r/consents", json=GRANT)
    assert [each["status"] for each in given.json()["consents"]] == ["given"]
    withdrawn = api.post("/v1/recipients/r/consents/withdraw", json={})
    assert [each["status"] for each in withdrawn.json()["consents"]] == ["withdrawn"]
    told = api.get("/v1/recipients/r/consents").json()
    assert told["version"] == 2
    first, second = told["history"]
    assert (first["proof"], first["text_version"], first["legal_basis"]) == ({"ip": "::1"}, "v7", "consent")
    assert (second["status"], second["channel"], second["purpose"]) == ("withdrawn", "*", "marketing")
    assert actions(db, tenant) == ["consent.given", "consent.withdrawn", "consent.read"]


def test_an_older_grant_that_arrives_late_resurrects_nothing(api):
    api.post("/v1/recipients/r/consents", json=GRANT)
    api.post("/v1/recipients/r/consents/withdraw", json={})
    late = api.post("/v1/recipients/r/consents", json=GRANT | {"effective_at": "2020-01-01T00:00:00Z"}).json()
    assert [each["status"] for each in late["consents"]] == ["withdrawn"]
    assert len(api.get("/v1/recipients/r/consents").json()["history"]) == 3


def test_nothing_is_recorded_that_was_not_said_yet(api):
    answer = api.post("/v1/recipients/r/consents", json=GRANT | {"effective_at": "2999-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["field"]) == (422, "effective_at")
    assert api.get("/v1/recipients/r/consents").json()["history"] == []


def test_a_channel_is_switched_off_and_on(api, db, tenant):
    for is_on in (False, True):
        answer = api.put("/v1/recipients/r/channels/sms", json={"is_on": is_on})
        assert answer.json() == {"channel": "sms", "is_on": is_on}
        assert api.get("/v1/recipients/r/consents").json()["switches"] == [answer.json()]
    assert api.put("/v1/recipients/r/channels/fax", json={"is_on": True}).status_code == 422
    assert actions(db, tenant)[::2] == ["channel.switched_off", "channel.switched_on"]


@pytest.mark.parametrize("recipient", ["a%2Fb", "%E2%98%83", "a%20b", "profile"])
def test_any_recipient_an_event_can_name_can_be_addressed(api, put, recipient):
    assert put(PROFILE, recipient).status_code == 200
    assert api.get(f"/v1/recipients/{recipient}/profile").json()["profile"] == PROFILE | UNSAID
    assert api.get(f"/v1/recipients/{recipient}/consents").json()["version"] == 0


def test_another_tenant_sees_and_changes_nothing(api, put, db, box, tenant):
    put(PROFILE)
    api.post("/v1/recipients/r/consents", json=GRANT)
    other = Tenants(db, box).create(f"{tenant.tenant}-b", display_name="b")[0]
    theirs = {"Authorization": f"Bearer {ApiKeys(db, box).issue(other.tenant, name='other')}"}
    assert api.get("/v1/recipients/r/profile", headers=theirs).status_code == 404
    assert api.delete("/v1/recipients/r/profile", headers=theirs).status_code == 204
    assert api.get("/v1/recipients/r/profile").status_code == 200
    assert api.get("/v1/recipients/r/consents", headers=theirs).json()["history"] == []
    api.post("/v1/recipients/r/consents/withdraw", json={}, headers=theirs)
    assert api.get("/v1/recipients/r/consents").json()["consents"][0]["status"] == "given"
