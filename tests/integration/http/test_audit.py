"""The audit trail over HTTP: who read or changed a person's data, page by page, and who asked for the trail."""

import pytest

from adapters.postgres import subject_keys
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.message_types import MessageTypes
from tests.builders import a_type
from tests.pages import walked

PROFILE = {"locale": "fr", "country": "FR"}


@pytest.fixture
def history(api):
    """Three things done to one recipient, one to another."""
    api.put("/v1/recipients/r/profile", json=PROFILE)
    api.patch("/v1/recipients/r/profile", json={"country": "CH"})
    api.get("/v1/recipients/r/profile")
    api.put("/v1/recipients/s/profile", json=PROFILE)


def entries(api, **query) -> list:
    answer = api.get("/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["entries"]


def test_it_says_who_did_what_to_a_person_with_old_and_new_values(api, key, history):
    found = entries(api, recipient_id="r")
    assert [each["action"] for each in found] == ["profile.read", "profile.written", "profile.written"]
    assert {each["actor"] for each in found} == {f"key:{key.split('_')[1]}"}
    read, changed, created = found
    assert (changed["old"], changed["new"]) == (PROFILE, PROFILE | {"country": "CH"})
    assert (created["old"], created["new"], read["old"], read["new"]) == (None, PROFILE, None, None)


def test_every_row_says_by_which_way_it_came_and_shows_no_address(api, history):
    answer = api.get("/v1/audit", headers={"X-Request-Id": "my-request-1"})
    (asked,) = entries(api, action="audit.read")[-1:]
    assert asked["context"]["request_id"] == "my-request-1"
    rows = [each for each in answer.json()["entries"] if each["action"] != "key.issued"]
    assert {each["context"]["interface"] for each in rows} == {"api"}
    assert len({each["context"]["address_hash"] for each in rows}) == 1
    assert len({each["context"]["user_agent_hash"] for each in rows}) == 1
    assert "127.0.0.1" not in answer.text
    assert "httpx" not in answer.text


def test_a_decision_and_every_reading_of_it_are_told_with_their_subject(api, db, tenant):
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    decided = api.post("/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}}).json()
    api.get(f"/v1/decisions/{decided['decision_id']}")
    api.get(f"/v1/decisions/{decided['decision_id']}/explanation")
    found = entries(api, recipient_id="r")
    assert [each["action"] for each in found] == ["decision.read", "decision.read", "decision.recorded"]
    assert {each["context"]["interface"] for each in found} == {"api"}


def test_pages_follow_one_another_without_gap_or_repeat(api, history):
    found = walked(api, "/v1/audit", "entries", recipient_id="r", limit=2)
    assert [each["action"] for each in found if each["action"] != "audit.read"] == [
        "profile.read",
        "profile.written",
        "profile.written",
    ]


def test_reading_the_trail_is_in_the_trail(api, history):
    entries(api, recipient_id="r")
    newest = entries(api, recipient_id="r")[0]
    assert newest["action"] == "audit.read"


def test_values_of_an_erased_person_are_gone_and_the_rows_stay(api, db, tenant, history):
    with db.tenant(tenant.tenant) as connection:
        subject_keys.of(connection).destroy(connection, tenant, "r")
    found = entries(api, recipient_id="r")
    assert [each["values_erased"] for each in found] == [False, True, True]
    assert [each["new"] for each in found] == [None, None, None]


def test_it_needs_its_own_permission_and_shows_the_own_tenant_only(api, server, db, box, tenant, history):
    from adapters.postgres.tenants import Tenants

    weak = ApiKeys(db, box).issue(tenant.tenant, name="weak", scopes=["profiles:read", "decisions:read"])
    assert server.get("/v1/audit", headers={"X-API-Key": weak}).status_code == 403
    other, _ = Tenants(db, box).create(f"{tenant.tenant}-b", display_name="b")
    theirs = ApiKeys(db, box).issue(other.tenant, name="officer", scopes=["audit:read"])
    shown = server.get("/v1/audit", headers={"X-API-Key": theirs}).json()["entries"]
    own = f"key:{theirs.split('_')[1]}"
    assert [(each["action"], each["object"]) for each in shown] == [("key.used", own), ("key.issued", own)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"cursor": "x" * 1001}, "cursor"),
        ({"action": "x; DROP"}, "action"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_field(api, query, field):
    answer = api.get("/v1/audit", params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].endswith(field)
