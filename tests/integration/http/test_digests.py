"""Digests as a sender meets them: what is listed as due, tokens, keys, verdicts, and what is refused by field."""

from datetime import timedelta

import pytest

from adapters.clock import Clock
from adapters.postgres.digest_queue import Digests as DigestQueue
from adapters.postgres.follow_up_queue import FollowUps
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tenants import Tenants
from serving.digest_round import DigestRound
from tests.builders import a_type
from tests.handover_scene import ON_EMAIL, Scene
from tests.integration.test_digests import DIGEST, EVENING, NAMED

NAMES = ("Ada", "Eve")


@pytest.fixture
def at(db, box, tenant):
    """Set the tenant's clock to a moment."""

    def shift(moment):
        Tenants(db, box).shift_clock(tenant.tenant, (moment - Clock().real()).total_seconds())

    return shift


@pytest.fixture
def due(api, at, db, box, tenant):
    """A digest of two that is due, as it is listed, with the messages' variables."""
    scene = Scene(db, box, tenant)
    owed = a_type(**ON_EMAIL, **NAMED, **DIGEST, **{"class": "service"})
    MessageTypes(db).publish(tenant, [owed], actor="test")
    at(EVENING - timedelta(hours=18))
    asked = [{"recipient_id": "r", "message": {"type": "news", "variables": {"name": name}}} for name in NAMES]
    answers = [api.post("/v1/decisions", json=each).raise_for_status().json() for each in asked]
    assert [(each["outcome"], each["reason"]) for each in answers] == [("defer", "policy.digest")] * 2
    assert api.get("/v1/digests/due").json()["due"] == []
    at(EVENING)
    (found,) = DigestQueue(db).due(tenant, now=EVENING, limit=10)
    DigestRound(scene.digests, FollowUps(db), actor="test").settle(tenant, found, now=EVENING)
    (listed,) = api.get("/v1/digests/due").raise_for_status().json()["due"]
    assert listed["items"] == [each["decision_id"] for each in answers]
    return listed


def hand_over(api, due, *, key=None, **body):
    items = [
        {"decision_id": decision_id, "variables": {"name": name}}
        for decision_id, name in zip(due["items"], NAMES, strict=True)
    ]
    headers = {"Idempotency-Key": key} if key else {}
    given = {"handover_token": due["handover_token"], "items": items} | body
    return api.post(f"/v1/digests/{due['digest_id']}/handover", json=given, headers=headers)


def test_it_goes_once_with_everything_in_it_and_is_listed_no_more(api, due) -> None:
    assert api.get("/v1/decisions/due").json()["due"] == []
    gone = hand_over(api, due, key="mine").raise_for_status().json()
    assert (gone["verdict"], gone["items"], gone["dropped"]) == ("go", due["items"], [])
    assert (gone["channel"], gone["variant_id"]) == ("email", "digest")
    assert (gone["content"]["subject"], gone["content"]["body"]) == ("2 new", "Ada.Eve.")
    assert hand_over(api, due, key="mine").json() == gone
    theirs = hand_over(api, due, key="theirs").json()
    assert (theirs["verdict"], theirs["reason"], theirs["decision_id"]) == (
        "stop",
        "handover.done",
        gone["decision_id"],
    )
    assert api.get("/v1/digests/due").json()["due"] == []
    told = {"type": "delivered", "recipient_id": "r", "occurred_at": (EVENING + timedelta(minutes=1)).isoformat()}
    for decision_id in (gone["decision_id"], due["items"][0]):
        api.post(f"/v1/decisions/{decision_id}/outcome", json=told).raise_for_status()
    assert 'kairos_digests_total{reason="policy.single",verdict="go"}' in api.get("/metrics").text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"handover_token": "kht_" + "A" * 32}, "handover_token"),
        ({"items": []}, "items"),
        ({"items": [{"decision_id": "x", "variables": {"name": "Ada"}}]}, "items"),
        ({"channel": "sms"}, "channel"),
    ],
)
def test_a_request_that_is_not_about_this_digest_is_refused_by_field(api, due, body, field) -> None:
    refused = hand_over(api, due, **body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field
    assert len(api.get("/v1/digests/due").json()["due"]) == 1


def test_other_variables_or_only_some_of_the_messages_hand_nothing_over(api, due) -> None:
    first, second = due["items"]
    wrong = [
        [{"decision_id": first, "variables": {"name": "Ada"}}],
        [{"decision_id": first, "variables": {"name": "Bo"}}, {"decision_id": second, "variables": {"name": "Eve"}}],
        [{"decision_id": first, "variables": {"name": "Ada"}}] * 2,
    ]
    for items in wrong:
        assert hand_over(api, due, items=items).status_code == 422
    assert len(api.get("/v1/digests/due").json()["due"]) == 1


def test_messages_whose_variables_cannot_be_given_leave_it_without_them(api, due) -> None:
    first, second = due["items"]
    left = [{"decision_id": first, "singly": True}, {"decision_id": second, "variables": {"name": "Eve"}}]
    gone = hand_over(api, due, items=left, key="mine").raise_for_status().json()
    assert (gone["verdict"], gone["items"], gone["dropped"], gone["singles"]) == ("go", [second], [], [first])
    assert hand_over(api, due, items=left, key="mine").json() == gone


def test_a_digest_that_all_messages_leave_is_stopped_and_listed_no_more(api, due) -> None:
    for _ in range(2):
        told = hand_over(api, due, items=[{"decision_id": each, "singly": True} for each in due["items"]]).json()
        assert (told["verdict"], told["reason"], told["singles"]) == ("stop", "handover.singly", due["items"])
    assert api.get("/v1/digests/due").json()["due"] == []
