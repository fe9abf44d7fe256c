"""What waits for a digest goes in one, never early and never twice, and kills at every statement change nothing."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import select

from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.contact_tables import contact
from adapters.postgres.follow_up_tables import follow_up
from adapters.postgres.message_types import MessageTypes
from domain import decision_replay
from domain.consent import ConsentStatus
from domain.contact_budget import ContactBudget
from domain.handover import Verdict
from domain.values import Reason
from serving.handovers import NothingLeft, OtherVariables
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
    (due,) = scene.digests.queue.due(scene.tenant, now=EVENING, limit=10)
    first = scene.digests.queue.release(scene.tenant, due, "d-1", now=EVENING)
    second = scene.digests.queue.release(scene.tenant, due, "d-2", now=EVENING)
    assert (first, second, len(digests(heard))) == (True, False, 1)
    assert scene.digests.queue.postpone(scene.tenant, due, due_at=EVENING + timedelta(hours=1))
    assert not scene.digests.queue.let_go(scene.tenant, due, now=EVENING + timedelta(hours=2))


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
