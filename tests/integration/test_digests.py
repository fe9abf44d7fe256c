"""What waits for a digest goes in one, never early and never twice, and kills at every statement change nothing."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from adapters.clock import Clock
from adapters.postgres import digest_queue
from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.contact_tables import contact
from adapters.postgres.follow_up_tables import follow_up
from adapters.postgres.merges import Merges
from adapters.postgres.message_types import MessageTypes
from domain import decision_replay
from domain.consent import ConsentStatus
from domain.contact_budget import ContactBudget
from domain.handover import Verdict
from domain.values import Reason
from serving.handovers import NothingLeft, OtherVariables
from serving.scheduler import TENANT_SECONDS, Scheduler
from tests.builders import NOON, RULES, a_type
from tests.handover_scene import MORNING, NIGHT, ON_EMAIL, Scene
from tests.integration.test_scheduler import environment, heard, step  # noqa: F401 - fixtures

EVENING = NOON + timedelta(hours=30)
"""Six o'clock in New York, on the day after."""
RECIPIENTS = tuple(f"r{number}" for number in range(5))
NAMED = {"variables": {"type": "object", "properties": {"name": {"type": "string", "default": "you"}}}}
SAID = {"subject": "{{ count }} new", "body": "{% for item in items %}{{ item.name }}.{% endfor %}"}
DIGEST = {"digest": {"at": ["18:00"], "at_most": 3, "content": {"email": SAID}}}


@pytest.fixture
def scene(db, box, tenant):
    made = Scene(db, box, tenant, recipients=("r", *RECIPIENTS))
    # Of a class that nobody draws to leave unsent.
    MessageTypes(db).publish(tenant, [a_type(**ON_EMAIL, **NAMED, **DIGEST, **{"class": "service"})], actor="test")
    return made


def ask(scene, *names, recipient="r", **fields):
    """Ask for one message with each name; returns the variables by decision."""
    told = {}
    for name in names:
        answer = scene.ask(recipient, message={"variables": {"name": name}} | fields)
        assert (answer["outcome"], answer["reason"]) == ("defer", "policy.digest")
        told[answer["decision_id"]] = {"name": name}
    return told


def digests(heard) -> list[dict]:  # noqa: F811 - the fixture
    return [data for event, data in heard() if event == "digest_released"]


def hand_over(scene, digest_id, variables, *, now=EVENING, key=None):
    return scene.digests.hand_over(scene.tenant, digest_id, variables, key=key, now=now, actor="test")


def rows(scene, table):
    with scene.db.tenant(scene.tenant.tenant) as connection:
        return connection.execute(select(table)).all()


def test_what_was_collected_goes_as_one_message_and_one_contact(scene, heard) -> None:  # noqa: F811
    asked = ask(scene, "Ada", "Eve")
    step(scene, EVENING - timedelta(microseconds=1))
    assert heard() == []
    for minutes in (0, 1):
        step(scene, EVENING + timedelta(minutes=minutes))
    (told,) = digests(heard)
    assert (told["recipient_id"], told["decision_ids"]) == ("r", list(asked))
    went = hand_over(scene, told["digest_id"], asked, key="k")
    assert (went.handed.verdict, went.decision_ids, went.dropped) == (Verdict.GO, tuple(asked), ())
    assert went.handed.answer["content"]["body"] == "Ada.Eve."
    assert hand_over(scene, told["digest_id"], asked, key="k").handed.answer == went.handed.answer
    assert hand_over(scene, told["digest_id"], asked, key="other").handed.reason is Reason.HANDOVER_DONE
    assert [row.contact_id for row in rows(scene, contact)] == [went.handed.decision_id]
    assert {row.settled_as for row in rows(scene, follow_up)} == {went.handed.decision_id}


def test_the_decisions_record_says_what_is_in_it_and_can_be_made_again(scene, heard) -> None:  # noqa: F811
    asked = ask(scene, "Ada", "Eve")
    step(scene, EVENING)
    (told,) = digests(heard)
    went = hand_over(scene, told["digest_id"], asked)
    log = scene.decider._log
    for decision_id in (went.handed.decision_id, *asked):
        record = log.get(scene.tenant, decision_id, actor="test")
        definition = log.definition(scene.tenant, "news", record["versions"]["message_type"])
        del record["recorded_at"]
        assert decision_replay.differences(decision_replay.past(record, definition, RULES)) == ()
    sent = log.get(scene.tenant, went.handed.decision_id, actor="test")
    assert {sent["follows"]["decision_id"], *(each["decision_id"] for each in sent["follows"]["others"])} == set(asked)
    at = EVENING + timedelta(minutes=1)
    assert scene.hear("opened", next(iter(asked)), at=at) == "stored"


def test_nothing_goes_by_itself_while_it_waits_for_the_digest(scene, heard) -> None:  # noqa: F811
    (one,) = ask(scene, "Ada")
    handed = scene.hand_over({"decision_id": one}, now=EVENING, variables={"name": "Ada"})
    assert (handed.verdict, handed.reason) == (Verdict.WAIT, Reason.HANDOVER_IN_DIGEST)


def test_too_few_go_by_themselves_and_too_many_make_another(scene, heard) -> None:  # noqa: F811
    (lone,) = ask(scene, "Ada", recipient="r0")
    many = ask(scene, *"abcde", recipient="r1")
    step(scene, EVENING)
    step(scene, EVENING)
    assert sorted(len(each["decision_ids"]) for each in digests(heard)) == [2, 3]
    assert [each for told in digests(heard) for each in told["decision_ids"]] == list(many)
    listed = scene.digests.queue.released(scene.tenant, now=EVENING, limit=1)
    after = (listed[0].due_at, listed[0].digest_id)
    listed += scene.digests.queue.released(scene.tenant, now=EVENING, after=after, limit=10)
    assert sorted(each.decision_ids for each in listed) == sorted(
        tuple(each["decision_ids"]) for each in digests(heard)
    )
    assert [data["decision_id"] for event, data in heard() if event == "decision_released"] == [lone]
    handed = scene.hand_over({"decision_id": lone}, now=EVENING, variables={"name": "Ada"})
    assert (handed.verdict, handed.answer["variant_id"]) == (Verdict.GO, "a")


def test_what_expired_is_dropped_with_its_reason_and_the_rest_goes(scene, heard) -> None:  # noqa: F811
    late = EVENING + timedelta(hours=1)
    gone = ask(scene, "Ada", expires_at=late.isoformat())
    stays = ask(scene, "Eve")
    step(scene, EVENING)
    (told,) = digests(heard)
    went = hand_over(scene, told["digest_id"], gone | stays, now=late)
    assert (went.handed.verdict, went.decision_ids) == (Verdict.GO, tuple(stays))
    assert [(each.decision_id, each.reason) for each in went.dropped] == [(*gone, Reason.EXPIRY_PASSED)]
    assert went.handed.answer["content"]["subject"] == "1 new"


def test_a_budget_that_is_used_up_lets_the_whole_digest_wait_and_it_stays_the_same_digest(scene, heard) -> None:  # noqa: F811
    # Only marketing is counted for each recipient.
    MessageTypes(scene.db).publish(scene.tenant, [a_type(**ON_EMAIL, **NAMED, **DIGEST)], actor="test")
    asked = ask(scene, "Ada", "Eve")
    step(scene, EVENING)
    (told,) = digests(heard)
    rule = {"id": "daily", "scope": {"channel": "email"}, "limit": 1, "calendar": "day"}
    ContactBudgets(scene.db).publish(scene.tenant, ContactBudget.model_validate({"rules": [rule]}), actor="test")
    other = ask(scene, "f", "g", recipient="r")
    step(scene, EVENING + timedelta(minutes=1))
    waits = hand_over(scene, told["digest_id"], asked)
    second = hand_over(scene, next(each for each in digests(heard) if each != told)["digest_id"], other)
    assert (waits.handed.verdict, second.handed.verdict) == (Verdict.GO, Verdict.WAIT)
    assert second.handed.reason is Reason.BUDGET_RECIPIENT
    later = second.handed.opens_at
    assert second.handed.decision_id == digests(heard)[1]["digest_id"]
    again = hand_over(scene, second.handed.decision_id, other, now=later + timedelta(hours=12))
    assert (again.handed.verdict, again.decision_ids) == (Verdict.GO, tuple(other))


def test_two_schedulers_tell_of_a_digest_once(scene, heard) -> None:  # noqa: F811
    ask(scene, "Ada", "Eve")
    (found,) = scene.digests.queue.due(scene.tenant, now=EVENING, limit=10)
    due = found.items
    first = scene.digests.queue.release(scene.tenant, due, "d-1", now=EVENING)
    second = scene.digests.queue.release(scene.tenant, due, "d-2", now=EVENING)
    assert (first, second, len(digests(heard))) == (True, False, 1)
    assert scene.digests.queue.postpone(scene.tenant, due, due_at=EVENING + timedelta(hours=1))
    assert not scene.digests.queue.let_go(scene.tenant, due, now=EVENING + timedelta(hours=2))


def released(scene, heard, *names, **fields):  # noqa: F811
    """Put messages with these names together; returns their digest's id and their variables by decision."""
    asked = ask(scene, *names, **fields)
    step(scene, EVENING)
    return digests(heard)[-1]["digest_id"], asked


def gone_singly(scene, heard, asked):  # noqa: F811
    """Hand over by itself what the scheduler tells of; returns the verdict by decision."""
    before = len(heard())
    step(scene, EVENING)
    told = [data["decision_id"] for event, data in heard()[before:] if event == "decision_released"]
    handed = [scene.hand_over({"decision_id": each}, now=EVENING, variables=asked[each]) for each in told]
    return {each: went.verdict for each, went in zip(told, handed, strict=True)}


def publish(scene, *, digest=DIGEST, **variables):
    named = {"variables": {"type": "object", "properties": {"name": {"type": "string", **variables}}}}
    MessageTypes(scene.db).publish(
        scene.tenant, [a_type(**ON_EMAIL, **named, **digest, **{"class": "service"})], actor="test"
    )


def test_a_message_whose_variables_are_lost_leaves_and_the_rest_goes(scene, heard) -> None:  # noqa: F811
    digest_id, asked = released(scene, heard, "Ada", "Eve", "Bo")
    lost, *rest = asked
    went = hand_over(scene, digest_id, asked | {lost: None}, key="k")
    assert (went.handed.verdict, went.decision_ids, went.singles) == (Verdict.GO, tuple(rest), (lost,))
    assert went.handed.answer["content"]["body"] == "Eve.Bo."
    assert gone_singly(scene, heard, asked) == {lost: Verdict.GO}
    again = hand_over(scene, digest_id, asked | {lost: None}, key="k")
    assert (again.handed.answer, again.singles) == (went.handed.answer, (lost,))
    assert hand_over(scene, digest_id, asked, key="other").handed.reason is Reason.HANDOVER_DONE


def test_what_is_put_off_by_itself_does_not_change_what_a_key_stands_for(scene, heard) -> None:  # noqa: F811
    digest_id, asked = released(scene, heard, "Ada", "Eve")
    lost = next(iter(asked))
    went = hand_over(scene, digest_id, asked | {lost: None}, key="k")
    assert scene.queue.postpone(scene.tenant, scene.queue.get(scene.tenant, lost), due_at=EVENING + timedelta(hours=1))
    assert hand_over(scene, digest_id, asked | {lost: None}, key="k").handed == went.handed


def test_a_digest_too_long_to_be_said_lets_its_messages_go_singly(scene, heard) -> None:  # noqa: F811
    digest_id, asked = released(scene, heard, *(letter * 40_000 for letter in "abc"))
    for _ in range(2):
        handed = hand_over(scene, digest_id, asked, key="k")
        assert (handed.handed.verdict, handed.handed.reason) == (Verdict.STOP, Reason.HANDOVER_SINGLY)
        assert (handed.decision_ids, handed.dropped, handed.singles) == ((), (), tuple(asked))
    assert scene.digests.queue.released(scene.tenant, now=EVENING, limit=10) == []
    assert gone_singly(scene, heard, asked) == dict.fromkeys(asked, Verdict.GO)


def test_what_does_not_fit_its_type_any_more_holds_up_nothing_else(scene, heard) -> None:  # noqa: F811
    digest_id, asked = released(scene, heard, "Adalbert", "Eve", "Bo")
    unfit, *rest = asked
    publish(scene, maxLength=3)
    went = hand_over(scene, digest_id, asked)
    assert (went.handed.verdict, went.decision_ids, went.singles) == (Verdict.GO, tuple(rest), (unfit,))


def test_a_type_that_lost_its_digest_lets_messages_go_singly_and_repeats_what_went(scene, heard) -> None:  # noqa: F811
    (first, gone), (second, left) = (released(scene, heard, "Ada", "Eve", recipient=each) for each in ("r0", "r1"))
    went = hand_over(scene, first, gone, key="k")
    publish(scene, digest={}, default="you")
    assert hand_over(scene, first, gone, key="k").handed == went.handed
    assert hand_over(scene, second, left).handed.reason is Reason.HANDOVER_SINGLY
    assert gone_singly(scene, heard, left) == dict.fromkeys(left, Verdict.GO)


def test_what_a_digest_had_drawn_is_not_kept_by_messages_that_leave_it(scene, heard) -> None:  # noqa: F811
    digest_id, asked = released(scene, heard, "Ada", "Eve")
    with scene.db.tenant(scene.tenant.tenant) as connection:
        connection.execute(update(follow_up).values(channel="email", variant_id="digest"))
    assert hand_over(scene, digest_id, dict.fromkeys(asked)).singles == tuple(asked)
    assert gone_singly(scene, heard, asked) == dict.fromkeys(asked, Verdict.GO)


def test_nothing_leaves_a_digest_that_is_not_due_or_is_asked_with_other_variables(scene, heard) -> None:  # noqa: F811
    digest_id, asked = released(scene, heard, "Ada", "Eve")
    one, other = asked
    with pytest.raises(OtherVariables):
        hand_over(scene, digest_id, {one: None, other: {"name": "Bo"}})
    assert scene.digests.queue.postpone(
        scene.tenant, scene.digests.queue.get(scene.tenant, digest_id), due_at=EVENING + timedelta(hours=1)
    )
    waits = hand_over(scene, digest_id, dict.fromkeys(asked))
    assert (waits.handed.reason, waits.singles) == (Reason.HANDOVER_NOT_DUE, ())


def test_a_message_too_large_for_its_share_of_a_request_is_never_collected(scene) -> None:
    answer = scene.ask("r", message={"variables": {"name": "x" * 90_000}})
    assert (answer["outcome"], answer["reason"]) == ("defer", "quiet_hours.now")
    log = scene.decider._log
    record = log.get(scene.tenant, answer["decision_id"], actor="test")
    definition = log.definition(scene.tenant, "news", record["versions"]["message_type"])
    del record["recorded_at"]
    assert decision_replay.differences(decision_replay.past(record, definition, RULES)) == ()


def test_a_flood_is_put_together_in_parts_and_nothing_is_split_by_it(scene, heard, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setattr(digest_queue, "MOST_OF_ONE", 4)
    asked = ask(scene, *"abcdefgh")
    (due,) = scene.digests.queue.due(scene.tenant, now=EVENING, limit=10)
    assert ([each.decision_id for each in due.items], due.is_all) == (list(asked)[:4], False)
    step(scene, EVENING)
    assert [tuple(each["decision_ids"]) for each in digests(heard)] == [tuple(asked)[:3]]
    for _ in range(2):
        step(scene, EVENING)
    assert [len(each["decision_ids"]) for each in digests(heard)] == [3, 3, 2]
    assert [each for told in digests(heard) for each in told["decision_ids"]] == list(asked)


def test_a_digest_that_was_put_off_comes_due_as_a_whole_or_not_yet(scene, heard, monkeypatch) -> None:  # noqa: F811
    later = EVENING + timedelta(hours=1)
    ask(scene, *"abcdef")
    step(scene, EVENING)
    for told in digests(heard):
        items = scene.digests.queue.get(scene.tenant, told["digest_id"])
        assert scene.digests.queue.postpone(scene.tenant, items, due_at=later)
    monkeypatch.setattr(digest_queue, "MOST_OF_ONE", 4)
    (due,) = scene.digests.queue.due(scene.tenant, now=later, limit=10)
    assert ([each.digest_id for each in due.items], due.is_all) == ([due.items[0].digest_id] * 3, False)


def test_what_waits_for_two_ids_of_one_person_goes_as_one_message(scene, heard) -> None:  # noqa: F811
    first, second = ask(scene, "Ada", recipient="r0"), ask(scene, "Eve", recipient="r1")
    Merges(scene.db).merge(scene.tenant, "r1", "r0", reason="same", actor="test", now=MORNING)
    step(scene, EVENING)
    (told,) = digests(heard)
    (listed,) = scene.digests.queue.released(scene.tenant, now=EVENING, limit=10)
    assert (told["recipient_id"], listed.recipient_id) == ("r1", "r1")
    assert told["decision_ids"] == [*first, *second]
    for _ in range(2):
        went = hand_over(scene, told["digest_id"], first | second, key="k")
        assert (went.handed.verdict, went.handed.answer["content"]["body"]) == (Verdict.GO, "Ada.Eve.")
    assert len(rows(scene, contact)) == 1


def test_a_round_looks_at_so_many_messages_and_no_more(scene, monkeypatch) -> None:
    monkeypatch.setattr(digest_queue, "MOST", 4)
    for recipient in RECIPIENTS:
        ask(scene, "Ada", "Eve", recipient=recipient)
    found = scene.digests.queue.due(scene.tenant, now=EVENING, limit=10)
    assert [len(each.items) for each in found] == [2, 2]


def test_a_tenant_has_so_much_of_a_round_and_goes_on_in_the_next(scene, heard) -> None:  # noqa: F811
    for recipient in RECIPIENTS[:2]:
        ask(scene, *"abcdef", recipient=recipient)
    passed = iter(range(1_000))
    slow = Scheduler(
        handovers=scene.handovers,
        digests=scene.digests,
        tenants=lambda: [scene.tenant],
        clock=lambda: Clock(lambda: EVENING),
        monotonic=lambda: next(passed) * TENANT_SECONDS,
    )
    for number in range(1, 5):
        slow.step()
        assert len(digests(heard)) == number


def test_withdrawn_consent_or_other_variables_hand_nothing_over(scene, heard) -> None:  # noqa: F811
    MessageTypes(scene.db).publish(scene.tenant, [a_type(**ON_EMAIL, **NAMED, **DIGEST)], actor="test")
    asked = ask(scene, "Ada", "Eve")
    step(scene, EVENING)
    (told,) = digests(heard)
    for wrong in (asked | {next(iter(asked)): {"name": "Bo"}}, dict([next(iter(asked.items()))]), asked | {"x": {}}):
        with pytest.raises(OtherVariables):
            hand_over(scene, told["digest_id"], wrong)
    with pytest.raises(NothingLeft):
        hand_over(scene, "nothing", asked)
    scene.say(ConsentStatus.WITHDRAWN, at=MORNING)
    stopped = hand_over(scene, told["digest_id"], asked)
    assert (stopped.handed.verdict, stopped.decision_ids) == (Verdict.STOP, ())
    assert {each.reason for each in stopped.dropped} == {Reason.CONSENT_WITHDRAWN}
    assert rows(scene, contact) == []


def test_killed_at_every_statement_and_commit_every_digest_is_told_once(scene, heard, environment) -> None:  # noqa: F811
    MessageTypes(scene.db).publish(scene.tenant, [a_type(**ON_EMAIL, **NAMED, **DIGEST)], actor="test")
    asked = {recipient: ask(scene, "Ada", "Eve", recipient=recipient) for recipient in RECIPIENTS}
    lone = ask(scene, "Ada", recipient="r")
    scene.say(ConsentStatus.WITHDRAWN, RECIPIENTS[0], at=NIGHT + timedelta(seconds=1))
    command = [sys.executable, "-m", "tests.scheduler_process", scene.tenant.tenant, EVENING.isoformat(), "400"]
    ran = subprocess.run(
        command, env=environment, cwd=environment["PYTHONPATH"], capture_output=True, text=True, check=True, timeout=300
    )
    told_by = json.loads(ran.stdout.splitlines()[-1])
    assert told_by["around"]
    assert told_by["killed"] > 30
    step(scene, EVENING)
    step(scene, EVENING)
    told = sorted((each["recipient_id"], tuple(each["decision_ids"])) for each in digests(heard))
    assert told == [(recipient, tuple(asked[recipient])) for recipient in RECIPIENTS[1:]]
    stopped = sorted(data["decision_id"] for event, data in heard() if event == "decision_stopped")
    assert stopped == sorted(asked[RECIPIENTS[0]])
    assert [data["decision_id"] for event, data in heard() if event == "decision_released"] == list(lone)
