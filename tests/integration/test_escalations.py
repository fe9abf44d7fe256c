"""A message that must reach goes on to the next permitted channel, once, unless it was heard to have reached."""

from datetime import datetime, timedelta

import pytest
from pydantic import ValidationError

from adapters.postgres.message_types import MessageTypes
from adapters.postgres.profiles import Profiles
from domain.handover import Verdict
from domain.profiles import Profile, Reachability
from domain.values import Channel, Reason
from tests.builders import NOON, a_type
from tests.handover_scene import ALERT, Scene

FIVE, TEN = timedelta(minutes=5), timedelta(minutes=10)
ALERTED = {"message": {"type": "alert"}, "now": NOON}


@pytest.fixture
def scene(db, box, tenant):
    return Scene(db, box, tenant)


def test_each_channel_is_tried_in_turn_after_its_wait(scene) -> None:
    answer = scene.ask(**ALERTED)
    assert (answer["outcome"], answer["channel"]) == ("send_now", "push")
    assert datetime.fromisoformat(answer["recheck_by"]) == NOON + FIVE
    early = scene.hand_over(answer, now=NOON + FIVE - timedelta(seconds=1))
    assert (early.verdict, early.opens_at) == (Verdict.WAIT, NOON + FIVE)
    second = scene.hand_over(answer, now=NOON + FIVE)
    assert (second.verdict, second.answer["channel"]) == (Verdict.GO, "sms")
    assert datetime.fromisoformat(second.answer["recheck_by"]) == NOON + FIVE + TEN
    third = scene.hand_over(second.answer, now=NOON + FIVE + TEN)
    assert (third.verdict, third.answer["channel"]) == (Verdict.GO, "email")
    assert (third.answer["recheck_by"], third.answer["handover_token"]) == (None, None)


def test_what_reached_is_not_escalated_whichever_message_it_was(scene) -> None:
    first = scene.ask(**ALERTED)
    second = scene.hand_over(first, now=NOON + FIVE)
    scene.hear("delivered", first["decision_id"], at=NOON + FIVE, channel="push")
    third = scene.hand_over(second.answer, now=NOON + FIVE + TEN)
    assert (third.verdict, third.reason) == (Verdict.STOP, Reason.HANDOVER_REACHED)


def test_where_it_must_be_opened_a_delivery_is_not_enough(scene) -> None:
    opened = {**ALERT, "must_reach": {"channels": ["push", "sms"], "wait_minutes": [5], "until": "opened"}}
    MessageTypes(scene.db).publish(scene.tenant, [a_type(**opened)], actor="test")
    answers = [scene.ask(**ALERTED) for _ in range(2)]
    for kind, answer in zip(("delivered", "opened"), answers, strict=True):
        scene.hear(kind, answer["decision_id"], at=NOON + timedelta(minutes=1), channel="push")
    verdicts = [scene.hand_over(each, now=NOON + FIVE).verdict for each in answers]
    assert verdicts == [Verdict.GO, Verdict.STOP]


def test_a_failure_goes_on_at_once(scene) -> None:
    answer = scene.ask(**ALERTED)
    soon = NOON + timedelta(minutes=1)
    scene.hear("failed", answer["decision_id"], at=soon, channel="push")
    assert scene.hand_over(answer, now=soon).answer["channel"] == "sms"


def test_a_channel_that_is_closed_is_passed_over_and_never_opened(scene) -> None:
    answer = scene.ask(**ALERTED)
    profile = Profile(channels={Channel.SMS: Reachability(reachable=False)})
    Profiles(scene.db).put(scene.tenant, "r", profile, actor="test")
    second = scene.hand_over(answer, now=NOON + FIVE)
    assert second.answer["channel"] == "email"
    third = scene.hand_over(second.answer, now=NOON + FIVE + TEN)
    assert (third.verdict, third.reason) == (Verdict.STOP, Reason.CHANNEL_UNREACHABLE)


def test_an_escalation_goes_once_for_two_who_ask(scene) -> None:
    answer = scene.ask(**ALERTED)
    verdicts = [scene.hand_over(answer, now=NOON + FIVE, key=key).verdict for key in ("a", "b", "a")]
    assert verdicts == [Verdict.GO, Verdict.STOP, Verdict.GO]


def test_channels_the_request_left_out_are_not_tried(scene) -> None:
    answer = scene.ask(**ALERTED, channels=["push", "email"])
    second = scene.hand_over(answer, now=NOON + FIVE)
    assert second.answer["channel"] == "email"
    assert scene.ask(**ALERTED, channels=["push"])["handover_token"] is None


def test_at_night_an_escalation_of_a_service_message_waits_for_the_morning(scene) -> None:
    evening = NOON + timedelta(hours=8, minutes=58)
    answer = scene.ask(message={"type": "alert"}, now=evening)
    assert answer["outcome"] == "send_now"
    handed = scene.hand_over(answer, now=evening + FIVE)
    assert (handed.verdict, handed.reason) == (Verdict.WAIT, Reason.QUIET_HOURS_NOW)
    assert scene.hand_over(answer, now=handed.opens_at).answer["channel"] == "sms"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"class": "marketing"}, "must_reach is not for marketing"),
        ({"must_reach": {"channels": ["voice"], "wait_minutes": [5]}}, "must_reach.channels must be among channels"),
        ({"must_reach": {"channels": ["push", "push"], "wait_minutes": [5]}}, "must not name a channel twice"),
        ({"must_reach": {"channels": ["push"], "wait_minutes": []}}, "at least 1 item"),
        ({"must_reach": {"channels": ["push"], "wait_minutes": [0]}}, "greater than or equal to 1"),
    ],
)
def test_a_type_that_could_not_escalate_is_refused(fields, expected) -> None:
    with pytest.raises(ValidationError, match=expected):
        a_type(**(ALERT | fields))
