"""A message that waited goes once, when it may, after everything was checked again; opt-outs in between never lose."""

import threading
from collections import Counter
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from adapters.postgres.contact_tables import contact
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.pauses import Pauses
from adapters.postgres.tables import decision
from domain import decision_replay
from domain.consent import ConsentStatus
from domain.handover import Verdict
from domain.values import Reason
from serving.handovers import NothingLeft, OtherVariables
from tests.builders import RULES, a_type
from tests.handover_scene import MORNING, NIGHT, ON_EMAIL, WITH_NAME, Scene

AT_ONCE = 12


@pytest.fixture
def scene(db, box, tenant):
    return Scene(db, box, tenant)


def sends(scene) -> int:
    with scene.db.tenant(scene.tenant.tenant) as connection:
        query = select(func.count()).select_from(decision).where(decision.c.outcome == "send_now")
        return connection.execute(query).scalar_one()


def reserved(scene) -> list:
    with scene.db.tenant(scene.tenant.tenant) as connection:
        return connection.execute(select(contact).where(contact.c.reserved_until.is_not(None))).all()


def test_a_deferral_goes_in_the_morning_with_the_content_of_the_variables(scene) -> None:
    answer = scene.ask(message={"variables": {"name": "Ada"}})
    assert (answer["outcome"], answer["reason"], answer["send_at"]) == (
        "defer",
        "quiet_hours.now",
        "2026-03-03T13:00:00Z",
    )
    assert answer["handover_token"].startswith("kht_")
    handed = scene.hand_over(answer, variables={"name": "Ada"})
    assert (handed.verdict, handed.answer["channel"]) == (Verdict.GO, "email")
    assert handed.answer["content"]["body"] == "Hi Ada"
    assert handed.decision_id != answer["decision_id"]


def test_nobody_hands_over_early_and_asking_early_leaves_no_trace(scene) -> None:
    answer = scene.ask()
    handed = scene.hand_over(answer, now=MORNING - timedelta(microseconds=1), key="k")
    assert (handed.verdict, handed.reason, handed.opens_at) == (Verdict.WAIT, Reason.HANDOVER_NOT_DUE, MORNING)
    assert scene.hand_over(answer, now=MORNING, key="k").verdict is Verdict.GO


def test_it_goes_once_and_again_for_who_asked_under_the_same_key(scene) -> None:
    answer = scene.ask(message={"variables": {"name": "Ada"}})
    first = scene.hand_over(answer, key="mine", variables={"name": "Ada"})
    again = scene.hand_over(answer, key="mine", variables={"name": "Ada"}, now=MORNING + timedelta(hours=3))
    assert first.verdict is again.verdict is Verdict.GO
    assert (first.decision_id, first.answer) == (again.decision_id, again.answer)
    for key in (None, "other"):
        other = scene.hand_over(answer, key=key, variables={"name": "Ada"})
        assert (other.verdict, other.reason) == (Verdict.STOP, Reason.HANDOVER_DONE)
    assert sends(scene) == 1


def test_of_many_who_hand_over_at_once_one_goes(scene) -> None:
    answer = scene.ask()
    gate, verdicts = threading.Barrier(AT_ONCE), []

    def one(number):
        gate.wait()
        verdicts.append(scene.hand_over(answer, key=f"k{number}").verdict)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(AT_ONCE)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert Counter(verdicts) == {Verdict.GO: 1, Verdict.STOP: AT_ONCE - 1}
    assert sends(scene) == 1


def test_the_same_key_at_once_is_answered_the_same_every_time(scene) -> None:
    answer = scene.ask()
    gate, handed = threading.Barrier(AT_ONCE), []

    def one():
        gate.wait()
        handed.append(scene.hand_over(answer, key="same"))

    threads = [threading.Thread(target=one) for _ in range(AT_ONCE)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert {each.verdict for each in handed} == {Verdict.GO}
    assert len({each.decision_id for each in handed}) == sends(scene) == 1


def test_who_withdrew_in_between_gets_nothing_and_what_was_reserved_is_free(scene) -> None:
    answer = scene.ask()
    assert len(reserved(scene)) == 1
    scene.say(ConsentStatus.WITHDRAWN, at=NIGHT + timedelta(hours=1))
    handed = scene.hand_over(answer, key="k")
    assert (handed.verdict, handed.reason) == (Verdict.STOP, Reason.CONSENT_WITHDRAWN)
    assert reserved(scene) == []
    scene.say(ConsentStatus.GIVEN, at=MORNING + timedelta(minutes=1))
    later = MORNING + timedelta(minutes=2)
    assert scene.hand_over(answer, now=later).reason is Reason.CONSENT_WITHDRAWN, "a stop is final"
    assert scene.hand_over(answer, now=later, key="k").verdict is Verdict.STOP
    assert sends(scene) == 0


def test_an_expired_message_is_stopped_whoever_asks(scene) -> None:
    answer = scene.ask(message={"expires_at": (MORNING + timedelta(hours=1)).isoformat()})
    handed = scene.hand_over(answer, now=MORNING + timedelta(hours=1))
    assert (handed.verdict, handed.reason) == (Verdict.STOP, Reason.EXPIRY_PASSED)
    assert reserved(scene) == []


def test_a_message_without_an_expiry_does_not_wait_for_ever(scene) -> None:
    answer = scene.ask()
    assert scene.hand_over(answer, now=MORNING + timedelta(days=7)).reason is Reason.EXPIRY_PASSED


def test_what_is_closed_again_waits_for_the_next_opening_with_what_it_reserves(scene) -> None:
    answer = scene.ask()
    handed = scene.hand_over(answer, now=NIGHT + timedelta(days=1), key="k")
    assert (handed.verdict, handed.reason) == (Verdict.WAIT, Reason.QUIET_HOURS_NOW)
    assert handed.opens_at == MORNING + timedelta(days=1)
    assert [each.at for each in reserved(scene)] == [handed.opens_at]
    assert scene.hand_over(answer, now=handed.opens_at, key="k").verdict is Verdict.GO
    assert reserved(scene) == []


def test_a_pause_stops_a_hand_over(scene) -> None:
    answer = scene.ask()
    Pauses(scene.db).set(scene.tenant, "*", reason="incident", actor="test")
    assert scene.hand_over(answer).reason is Reason.PAUSE_TENANT


def test_other_variables_are_refused_and_nothing_is_decided(scene) -> None:
    answer = scene.ask(message={"variables": {"name": "Ada"}})
    with pytest.raises(OtherVariables, match="variables"):
        scene.hand_over(answer, variables={"name": "Eve"})
    assert scene.hand_over(answer, variables={"name": "Ada"}).verdict is Verdict.GO


def test_a_decision_that_left_nothing_cannot_be_handed_over(scene) -> None:
    sent = scene.ask(now=MORNING)
    assert (sent["outcome"], sent["handover_token"]) == ("send_now", None)
    for answer in (sent, {"decision_id": "none"}):
        with pytest.raises(NothingLeft):
            scene.hand_over(answer)


def test_an_hour_that_was_drawn_keeps_its_channel_and_variant_and_is_not_drawn_again(scene) -> None:
    found = [scene.ask(message={"urgency": "flexible"}, now=MORNING) for _ in range(12)]
    waiting = [each for each in found if each["reason"] == "policy.slot"]
    assert waiting, "every hour of a week was now"
    for answer in waiting[:3]:
        handed = scene.hand_over(answer, now=datetime.fromisoformat(answer["send_at"]))
        told = (handed.reason, handed.answer["channel"], handed.answer["variant_id"])
        if handed.verdict is Verdict.GO:
            assert told == (Reason.POLICY_SETTLED, answer["channel"], answer["variant_id"])
        else:
            assert handed.reason is Reason.BUDGET_RECIPIENT


def test_a_variant_that_is_no_longer_published_is_not_sent(scene) -> None:
    found = [scene.ask(message={"urgency": "flexible"}, now=MORNING) for _ in range(12)]
    answer = next(each for each in found if each["reason"] == "policy.slot")
    other = {**ON_EMAIL, "variants": [{"id": "z", "content": {"email": {"body": "new"}}}]}
    MessageTypes(scene.db).publish(scene.tenant, [a_type(**other, **WITH_NAME)], actor="test")
    handed = scene.hand_over(answer, now=datetime.fromisoformat(answer["send_at"]))
    assert (handed.verdict, handed.reason) == (Verdict.STOP, Reason.HANDOVER_WITHDRAWN)


def test_the_record_of_a_hand_over_names_what_it_follows_and_is_made_again_byte_for_byte(scene) -> None:
    answer = scene.ask()
    scene.hand_over(answer, now=NIGHT + timedelta(days=1))
    handed = scene.hand_over(answer, now=MORNING + timedelta(days=1))
    log = DecisionLog(scene.db)
    for decision_id in (answer["decision_id"], handed.decision_id, handed.answer["decision_id"]):
        kept = log.get(scene.tenant, decision_id, actor="test")
        definition = log.definition(scene.tenant, "news", kept["versions"]["message_type"])
        assert decision_replay.differences(decision_replay.past(kept, definition, RULES)) == ()
    assert kept["follows"] == {
        "decision_id": answer["decision_id"],
        "kind": "deferral",
        "attempt": 1,
        "sends": 0,
        "settled": None,
    }
