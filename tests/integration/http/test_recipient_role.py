"""Recipients with a token of their own: they reach what is theirs, and nobody else is there for them."""

import pytest

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.message_types import MessageTypes
from domain.identity import subject_key
from domain.roles import PERMISSIONS, Role
from tests.access_matrix import Builder, operations
from tests.builders import a_type

ME, OTHER = "recipient/one", "recipient-two"
MINE = PERMISSIONS[Role.RECIPIENT]


@pytest.fixture
def document(server):
    return server.get("/openapi.json").json()


def _named(request: dict) -> dict:
    return {"path" if name == "url" else name: value for name, value in request.items()}


@pytest.fixture
def as_me(server, signer):
    headers = {"Authorization": f"Bearer {signer.of('recipient', sub=ME)}"}
    return lambda method, path, **more: server.request(method, path, headers=headers, **more)


def decided(api, recipient: str) -> str:
    answer = api.post("/v1/decisions", json={"recipient_id": recipient, "message": {"type": "news"}})
    return answer.raise_for_status().json()["decision_id"]


@pytest.fixture
def decisions(api, db, tenant) -> dict[str, str]:
    MessageTypes(db).publish(tenant, [a_type(**{"class": "transactional"})], actor="test")
    return {recipient: decided(api, recipient) for recipient in (ME, OTHER)}


def test_recipients_read_and_change_their_own_preferences_and_consents(as_me, api, tenant):
    preference = {"scope": {"channel": "email"}, "value": {"enabled": False}}
    mine = f"/v1/recipients/{ME}"
    stored = as_me("PUT", f"{mine}/preferences", json=preference)
    assert stored.status_code == 200, stored.text
    assert len(as_me("GET", f"{mine}/preferences").json()["preferences"]) == 1
    assert as_me("POST", f"{mine}/consents/withdraw", json={}).status_code == 200
    assert as_me("GET", f"{mine}/consents").json()["consents"][0]["status"] == "withdrawn"
    rows = api.get("/v1/audit", params={"recipient_id": ME}).json()["entries"]
    assert {row["actor"] for row in rows} == {f"recipient:{subject_key(tenant.subject_secret, ME)}"}


def test_another_recipients_id_is_answered_as_one_that_does_not_exist(as_me, api, document, decisions):
    api.post(f"/v1/recipients/{OTHER}/consents/withdraw", json={}).raise_for_status()
    before = api.get(f"/v1/recipients/{OTHER}/consents").json()
    known = {"preference_id": "0" * 16, "channel": "email", "type": "news"}
    there, nowhere = (Builder(document, known | {"recipient_id": who}) for who in (OTHER, "nobody"))
    asked = 0
    for operation in operations(document):
        if "{recipient_id}" not in operation.path or operation.permission not in MINE:
            continue
        found, missed = (as_me(**_named(each.request(operation))) for each in (there, nowhere))
        assert (found.status_code, missed.status_code) == (404, 404), operation.name
        assert found.json() | {"request_id": ""} == missed.json() | {"request_id": ""}, operation.name
        asked += 1
    assert asked >= 8
    assert api.get(f"/v1/recipients/{OTHER}/consents").json() == before


def test_recipients_read_why_their_own_decisions_came_out_so_and_no_other(as_me, decisions):
    for path in ("", "/explanation"):
        assert as_me("GET", f"/v1/decisions/{decisions[ME]}{path}").status_code == 200
        assert as_me("GET", f"/v1/decisions/{decisions[OTHER]}{path}").status_code == 404


def test_recipients_export_their_own_data_and_see_no_other_export(as_me, api):
    mine = as_me("POST", f"/v1/recipients/{ME}/exports", json={"kind": "access"})
    theirs = api.post(f"/v1/recipients/{OTHER}/exports", json={"kind": "access"})
    assert (mine.status_code, theirs.status_code) == (202, 202)
    assert as_me("GET", f"/v1/exports/{mine.json()['export_id']}").status_code == 200
    assert as_me("GET", f"/v1/exports/{theirs.json()['export_id']}").status_code == 404
    assert as_me("POST", f"/v1/exports/{mine.json()['export_id']}/link").status_code == 409
    assert as_me("POST", f"/v1/exports/{theirs.json()['export_id']}/link").status_code == 404


def test_recipients_may_not_have_themselves_erased_or_send_for_others_by_their_role(as_me):
    assert as_me("POST", f"/v1/recipients/{ME}/erasures", json={}).status_code in (403, 404, 405)
    assert as_me("POST", "/v1/decisions", json={"recipient_id": ME, "message": {"type": "news"}}).status_code == 403
    assert as_me("GET", "/v1/audit").status_code == 403


def test_a_key_with_the_role_of_a_recipient_may_do_nothing(server, db, box, tenant):
    key = ApiKeys(db, box).issue(tenant.tenant, name="odd", roles=["recipient"])
    answer = server.get(f"/v1/recipients/{ME}/preferences", headers={"X-API-Key": key})
    assert answer.status_code == 403
