"""Pauses over HTTP: at once, by reason, audited, and over only when they are lifted."""

import pytest
from sqlalchemy import select

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import audit
from adapters.postgres.tenants import Tenants
from tests.builders import a_type

PAUSES = "/v1/admin/pauses"


@pytest.fixture
def decide(api, db, tenant):
    MessageTypes(db).publish(tenant, [a_type(**{"class": "transactional"})], actor="test")

    def decide():
        answer = api.post("/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return decide


def test_a_paused_tenant_sends_nothing_until_it_goes_on(api, decide):
    assert decide()["outcome"] == "send_now"
    made = api.post(PAUSES, json={"reason": "the shop is down"})
    assert made.status_code == 200
    assert made.json()["channel"] == "*"
    stopped = decide()
    assert (stopped["outcome"], stopped["reason"], stopped["content"]) == ("suppress", "pause.tenant", None)
    assert api.delete(f"{PAUSES}/tenant").status_code == 204
    assert decide()["outcome"] == "send_now"


def test_a_paused_channel_leaves_the_others(api, decide):
    api.post(PAUSES, json={"channel": "email", "reason": "bounces"})
    answer = decide()
    assert answer["channel"] == "push"
    assert {each["channel"]: each["reason"] for each in answer["refusals"]}["email"] == "pause.channel"
    assert [each["channel"] for each in api.get(PAUSES).json()["pauses"]] == ["email"]


def test_a_repeated_pause_keeps_its_beginning_and_takes_the_reason(api):
    first = api.post(PAUSES, json={"reason": "first"}).json()
    again = api.post(PAUSES, json={"reason": "again"}).json()
    assert (again["since"], again["reason"]) == (first["since"], "again")
    assert len(api.get(PAUSES).json()["pauses"]) == 1


def test_what_is_not_paused_cannot_be_lifted(api):
    assert api.delete(f"{PAUSES}/sms").status_code == 404
    assert api.delete(f"{PAUSES}/carrier_pigeon").status_code == 422


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x", "channel": "fax"}])
def test_a_pause_has_a_reason_and_a_channel_that_exists(api, body):
    assert api.post(PAUSES, json=body).status_code == 422
    assert api.get(PAUSES).json()["pauses"] == []


def test_who_paused_and_why_is_in_the_trail(api, db, tenant):
    api.post(PAUSES, json={"channel": "sms", "reason": "carrier trouble"})
    api.delete(f"{PAUSES}/sms")
    with db.tenant(tenant.tenant) as connection:
        rows = connection.execute(
            select(audit.c.action, audit.c.object, audit.c.reason).where(audit.c.object == "pause:sms")
        ).all()
    assert sorted(map(tuple, rows)) == [
        ("pause.lifted", "pause:sms", None),
        ("pause.set", "pause:sms", "carrier trouble"),
    ]


def test_a_pause_is_its_tenants_alone(server, api, db, box, tenant):
    other, _ = Tenants(db, box).create(f"{tenant.tenant}-b", display_name="b")
    key = ApiKeys(db, box).issue(other.tenant, name="b", roles=["operator"])
    api.post(PAUSES, json={"reason": "ours"})
    headers = {"X-API-Key": key}
    assert server.get(PAUSES, headers=headers).json() == {"pauses": []}
    assert server.delete(f"{PAUSES}/tenant", headers=headers).status_code == 404
    assert len(api.get(PAUSES).json()["pauses"]) == 1
