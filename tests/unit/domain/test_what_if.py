"""What if: a changed cap, hour or policy changes exactly the decisions it is about, and is read strictly."""

import json
import math
from datetime import timedelta

import pytest

from domain import decision_replay, what_if
from domain.contact_budget import Contact, Spent
from domain.decision_record import Evidence, record
from domain.decisioning import recheck
from domain.values import Channel, Outcome
from tests.builders import NOON, RULES, SETTINGS, a_decision, a_request, a_situation, an_expectation
from tests.builders import a_type as builder_type

EMAIL, PUSH = Channel.EMAIL, Channel.PUSH
SCORES = {EMAIL: 0.05, PUSH: 0.01}
LAST_WEEK = Spent(tuple(Contact(channel=PUSH, at=NOON - timedelta(hours=n)) for n in (1, 2, 3)), {}, NOON)


def a_past(number=0, *, spent=LAST_WEEK, scores=SCORES, definition=None, **situation):
    definition = definition or builder_type()
    situation = a_situation(allowances={"spent": spent}, definition=definition, **situation)
    draft = a_decision(a_request(), situation, an_expectation(scores), decision_id=f"d-{number}")
    kept = record(recheck(draft, situation), Evidence("s", False, True, None, SETTINGS, 1))  # noqa: FBT003
    return decision_replay.past(json.loads(json.dumps(kept)), definition, RULES)


def test_without_changes_everything_is_as_it_was():
    for number in range(50):
        decision = a_past(number)
        asked = what_if.changes(None, []).of(decision)
        assert what_if.distribution(asked) == what_if.distribution(decision.asked)
        action, chance = what_if.taken(decision.record)
        assert math.isclose(chance, what_if.distribution(asked)[action], rel_tol=1e-12)
        assert math.isclose(sum(what_if.distribution(asked).values()), 1, abs_tol=1e-12)


def test_what_waited_for_a_digest_was_later_and_stays_so():
    digest = {"at": ["18:00"], "collects": "all", "content": {"email": {"body": "{{ count }} new"}}}
    decision = a_past(definition=builder_type(digest=digest))
    assert decision_replay.differences(decision) == ()
    assert what_if.taken(decision.record) == ("later", 1.0)
    assert what_if.distribution(what_if.changes("uniform", []).of(decision)) == {"later": 1.0}


def test_a_cap_closes_its_channel_and_no_other():
    asked = what_if.changes(None, ["cap.push.week=3"]).of(a_past())
    assert {name for name, chance in what_if.distribution(asked).items() if chance} == {"nothing", "email/a", "email/b"}
    roomy = what_if.changes(None, ["cap.push.week=4"]).of(a_past())
    assert what_if.distribution(roomy)["push/a"] > 0
    everything = what_if.changes(None, ["cap.*.day=3"]).of(a_past())
    assert what_if.distribution(everything) == {"later": 1.0}


def test_other_quiet_hours_hold_back_what_was_sent():
    asked = what_if.changes(None, ["quiet_hours.start=11", "quiet_hours.end=14"]).of(a_past())
    assert what_if.drawn(asked).outcome is Outcome.DEFER
    assert what_if.distribution(asked) == {"later": 1.0}


def test_other_policies_give_other_chances_to_the_same_actions():
    decision = a_past()
    uniform = what_if.distribution(what_if.changes("uniform", []).of(decision))
    assert set(uniform.values()) == {0.2}
    rules = what_if.distribution(what_if.changes("rules", []).of(decision))
    assert {name: chance for name, chance in rules.items() if chance} == {"email/a": 0.5, "email/b": 0.5}
    greedy = what_if.distribution(what_if.changes(None, ["temperature=0.001"]).of(decision))
    assert greedy["email/a"] > what_if.distribution(decision.asked)["email/a"]


@pytest.mark.parametrize(
    ("policy", "given", "words"),
    [
        ("best", [], "policy best: expected"),
        (None, ["cap.fax.week=3"], "cap.fax.week=3: expected"),
        (None, ["cap.push.fortnight=3"], "expected cap."),
        (None, ["cap.push.week=-1"], "expected cap."),
        (None, ["cap.push.week=many"], "expected cap."),
        (None, ["epsilon"], "expected a number"),
        (None, ["colour=3"], "colour=3: expected one of"),
    ],
)
def test_a_change_that_cannot_be_read_is_named(policy, given, words):
    with pytest.raises(what_if.BadChange, match="expected") as caught:
        what_if.changes(policy, given)
    assert words in str(caught.value)
