"""Operators lift what proved dead, with a reason; what a recipient said stays until they say yes again."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import audit
from tests.builders import a_type

HERE = "/v1/recipients/r/suppressions"
LIFT = f"{HERE}/email/lift"
WHY = {"reason": "the mailbox is back"}


@pytest.fixture
def event(api):
    def event(kind, **properties):
        at = datetime.now(UTC).replace(microsecond=0).isoformat()
        given = {"source": "esp", "event_id": kind, "type": kind, "recipient_id": "r", "channel": "email"}
        answer = api.post("/v1/events", json=given | {"occurred_at": at, "properties": properties})
        assert answer.status_code == 202, answer.text

    return event


@pytest.fixture
def decide(api, db, tenant):
    content = {"channels": ["email"], "variants": [{"id": "a", "content": {"email": {"body": "b"}}}]}
    MessageTypes(db).publish(tenant, [a_type(**{"class": "transactional"}, **content)], actor="test")
    wanted = {"recipient_id": "r", "message": {"type": "news"}}
    return lambda: api.post("/v1/decisions", json=wanted).json()["reason"]


def test_a_bounce_is_lifted_with_its_reason_and_messages_go_again(api, event, decide, db, tenant):
    event("bounced", bounce_type="hard")
    assert decide() == "suppression.bounced"
    assert [each["cause"] for each in api.get(HERE).json()["suppressions"]] == ["bounced"]
    assert api.post(LIFT, json={}).status_code == 422
    assert api.post(LIFT, json=WHY).status_code == 204
    assert decide().startswith("policy.")
    assert api.post(LIFT, json=WHY).status_code == 404
    with db.tenant(tenant.tenant) as connection:
        told = connection.execute(select(audit.c.reason).where(audit.c.action == "suppression.lifted")).scalars().all()
        read = connection.execute(select(audit).where(audit.c.action == "suppression.read")).all()
    assert (told, len(read)) == ([WHY["reason"]], 1)


def test_a_complaint_is_lifted_only_after_a_fresh_consent(api, event):
    event("complained")
    refused = api.post(LIFT, json=WHY)
    assert (refused.status_code, refused.json()["code"]) == (409, "suppression.recipients_own")
    assert [each["cause"] for each in api.get(HERE).json()["suppressions"]] == ["complained"]
    consent = {"purpose": "marketing", "status": "given", "source": "web_form"}
    assert api.post("/v1/recipients/r/consents", json=consent).status_code == 200
    assert api.post(LIFT, json=WHY).status_code == 204
    assert api.get(HERE).json()["suppressions"] == []


@pytest.mark.parametrize("cause", ["complained", "opted_out", "erased"])
def test_an_address_its_owner_wants_listed_stays_listed(api, cause):
    ann = {"channel": "email", "address": "ann@example.org"}
    api.post("/v1/suppressions", json=ann | {"cause": cause})
    refused = api.post("/v1/suppressions/lift", json=ann | WHY)
    assert (refused.status_code, refused.json()["code"]) == (409, "suppression.recipients_own")
    assert api.post("/v1/suppressions/check", json=ann).json()["is_suppressed"] is True
