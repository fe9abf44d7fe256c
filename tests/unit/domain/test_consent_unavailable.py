"""While nobody can say what a recipient allows, only what is owed goes on, and a replay comes out the same."""

import json

import pytest

from domain.decision_record import Evidence, record
from domain.decision_replay import differences, past
from domain.gates import Allowances, screen
from domain.values import MessageClass, Outcome, Reason
from tests.builders import RULES, SETTINGS, a_decision, a_request, a_situation, a_type

UNKNOWN = Allowances(is_known=False)


@pytest.mark.parametrize("message_class", [MessageClass.MARKETING, MessageClass.SERVICE])
@pytest.mark.parametrize("is_emergency", [False, True])
def test_what_is_not_owed_is_suppressed_for_that_reason(message_class, is_emergency):
    fields = {"class": message_class.value}
    if is_emergency and message_class is not MessageClass.MARKETING:
        fields["is_emergency"] = True
    draft = a_decision(situation=a_situation(definition=a_type(**fields), allowances=UNKNOWN))
    assert (draft.outcome, draft.reason, draft.probability) == (Outcome.SUPPRESS, Reason.CONSENT_UNAVAILABLE, 1.0)


def test_what_is_owed_goes_on_by_the_order_of_its_type():
    situation = a_situation(definition=a_type(**{"class": "transactional"}), allowances=UNKNOWN)
    draft = a_decision(situation=situation)
    assert (draft.outcome, draft.reason) == (Outcome.SEND_NOW, Reason.POLICY_RULES)
    assert draft.action.channel is situation.definition.channels[0]


def test_consent_that_is_known_is_asked_as_ever():
    situation = a_situation(allowances=Allowances())
    assert {each.reason for each in screen(a_request(), situation).refusals} == {Reason.CONSENT_MISSING}


@pytest.mark.parametrize("message_class", ["marketing", "transactional"])
def test_a_replay_of_it_comes_out_the_same(message_class):
    definition = a_type(**{"class": message_class})
    draft = a_decision(situation=a_situation(definition=definition, allowances=UNKNOWN, profile=None))
    evidence = Evidence(
        "s", is_holdout=False, may_personalize=False, degraded="consent_unavailable", settings=SETTINGS, type_version=1
    )
    kept = json.loads(json.dumps(record(draft, evidence)))
    assert differences(past(kept, definition, RULES)) == ()
    assert kept["allowances"]["is_known"] is False
