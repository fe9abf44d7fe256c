"""Hand-overs and outcomes as a sender meets them: tokens, keys, verdicts, and what is refused for which field."""

from datetime import datetime, timedelta

import pytest

from adapters.clock import Clock
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tenants import Tenants
from tests.builders import a_type
from tests.handover_scene import ALERT, MORNING, NIGHT, ON_EMAIL, WITH_NAME

MARKETING = {"purpose": "marketing", "status": "given", "source": "t", "effective_at": "2026-01-01T00:00:00Z"}
NEWS = {"recipient_id": "r", "message": {"type": "news", "variables": {"name": "Ada"}}}
ADA = {"variables": {"name": "Ada"}}


@pytest.fixture
def at(db, box, tenant):
    """Set the tenant's clock to a moment."""

    def shift(moment):
        Tenants(db, box).shift_clock(tenant.tenant, (moment - Clock().real()).total_seconds())

    return shift


@pytest.fixture
def waiting(api, at, db, tenant):
    """A decision that waits for the morning."""
    # Of a class that nobody draws to leave unsent.
    owed = a_type(**ON_EMAIL, **WITH_NAME, **{"class": "service"})
    offer = a_type(**ON_EMAIL, **WITH_NAME, type="offer")
    MessageTypes(db).publish(tenant, [owed, offer, a_type(**ALERT)], actor="test")
    at(NIGHT)
    api.post("/v1/recipients/r/consents", json=MARKETING).raise_for_status()
    answer = api.post("/v1/decisions", json=NEWS).raise_for_status().json()
    assert answer["outcome"] == "defer"
    return answer


def hand_over(api, answer, *, key=None, **body):
    given = {"handover_token": answer["handover_token"]} | ADA | body
    headers = {"Idempotency-Key": key} if key else {}
    return api.post(f"/v1/decisions/{answer['decision_id']}/handover", json=given, headers=headers)


def report(api, decision_id, kind="delivered", **body):
    given = {"type": kind, "recipient_id": "r", "occurred_at": (MORNING + timedelta(minutes=1)).isoformat()} | body
    return api.post(f"/v1/decisions/{decision_id}/outcome", json=given)


@pytest.fixture
def sent(api, at, waiting):
    at(MORNING + timedelta(seconds=1))
    return hand_over(api, waiting, key="k").raise_for_status().json()


def test_early_it_waits_then_it_goes_with_its_content_and_then_it_stops(api, at, waiting) -> None:
    early = hand_over(api, waiting).raise_for_status().json()
    assert (early["verdict"], early["reason"]) == ("wait", "handover.not_due")
    assert datetime.fromisoformat(early["opens_at"]) == datetime.fromisoformat(waiting["send_at"])
    at(MORNING + timedelta(seconds=1))
    gone = hand_over(api, waiting, key="mine").raise_for_status().json()
    assert (gone["verdict"], gone["channel"], gone["content"]["body"]) == ("go", "email", "Hi Ada")
    assert hand_over(api, waiting, key="mine").json() == gone
    assert hand_over(api, waiting, key="theirs").json()["reason"] == "handover.done"


def test_a_token_of_another_decision_or_tenant_opens_nothing(api, waiting) -> None:
    for token in ("kht_" + "A" * 32, waiting["handover_token"][:-1], waiting["handover_token"] + "A"):
        answer = hand_over(api, waiting, handover_token=token)
        assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (
            422,
            "handover.bad_token",
            "handover_token",
        )
    other = {"decision_id": "nothing", "handover_token": waiting["handover_token"]}
    assert hand_over(api, other).status_code == 422


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"variables": {"name": "Eve"}}, "variables"),
        ({"variables": {}}, "variables"),
        ({"variables": []}, "variables"),
        ({"channel": "sms"}, "channel"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_decides_nothing(api, at, waiting, body, field) -> None:
    at(MORNING + timedelta(seconds=1))
    answer = hand_over(api, waiting, **body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert "Eve" not in answer.text
    assert hand_over(api, waiting).json()["verdict"] == "go"


def test_what_is_due_is_listed_once_it_was_released_and_until_it_is_handed_over(api, at, waiting, db, tenant) -> None:
    assert api.get("/v1/decisions/due").json() == {"due": [], "next_cursor": None}
    at(MORNING + timedelta(seconds=1))
    from adapters.postgres.follow_up_queue import FollowUps

    queue = FollowUps(db)
    queue.release(tenant, queue.get(tenant, waiting["decision_id"]), now=MORNING)
    (due,) = api.get("/v1/decisions/due").raise_for_status().json()["due"]
    assert (due["decision_id"], due["recipient_id"], due["kind"]) == (waiting["decision_id"], "r", "deferral")
    assert due["handover_token"] == waiting["handover_token"]
    hand_over(api, due).raise_for_status()
    assert api.get("/v1/decisions/due").json()["due"] == []


def test_an_outcome_is_an_event_with_what_the_decision_knew_and_is_stored_once(api, sent, waiting) -> None:
    first = report(api, waiting["decision_id"])
    assert (first.status_code, first.json()["verdict"]) == (202, "stored")
    assert first.json()["decision_id"] == sent["decision_id"]
    assert report(api, sent["decision_id"]).json()["verdict"] == "duplicate"
    late = report(api, sent["decision_id"], occurred_at=(MORNING + timedelta(minutes=2)).isoformat())
    assert (late.status_code, late.json()["field"]) == (409, "event_id")
    for event_id in ("a", "b"):
        assert report(api, sent["decision_id"], "clicked", event_id=event_id).json()["verdict"] == "stored"


def test_an_opt_out_reported_for_a_decision_is_acted_on(api, sent) -> None:
    report(api, sent["decision_id"], "opted_out").raise_for_status()
    offer = {"recipient_id": "r", "message": {"type": "offer"}}
    answer = api.post("/v1/decisions", json=offer).json()
    assert (answer["outcome"], answer["reason"]) == ("suppress", "consent.withdrawn")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"recipient_id": "somebody"}, 422, "recipient_id"),
        ({"occurred_at": "2026-03-01T00:00:00Z"}, 422, "occurred_at"),
        ({"occurred_at": "2031-03-01T00:00:00Z"}, 422, "occurred_at"),
        ({"kind": "vanished"}, 422, "type"),
        ({"event_id": "x" * 121}, 422, "event_id"),
    ],
)
def test_an_outcome_that_cannot_be_is_refused_by_name(api, sent, body, status, field) -> None:
    answer = report(api, sent["decision_id"], **body)
    assert (answer.status_code, answer.json()["field"]) == (status, field)


def test_what_is_unknown_or_was_not_sent_has_no_outcome(api, waiting) -> None:
    assert report(api, "unknown").status_code == 404
    answer = report(api, waiting["decision_id"])
    assert (answer.status_code, answer.json()["code"]) == (409, "decision.not_sent")
