"""Pauses: nothing passes, whatever its class, and the pause is the reason that is told."""

import pytest

from domain import decisioning
from domain.gates import screen
from domain.values import Outcome, Reason
from tests.builders import a_decision, a_request, a_situation, a_type


def reasons(paused: set[str], **fields) -> dict[str, Reason]:
    situation = a_situation(allowances={"paused": frozenset(paused), **fields.pop("allowances", {})}, **fields)
    return {each.channel.value: each.reason for each in screen(a_request(), situation).refusals}


@pytest.mark.parametrize("message_class", ["transactional", "service", "marketing"])
def test_a_paused_tenant_sends_nothing_of_any_class(message_class):
    stopped = reasons({"*"}, definition=a_type(**{"class": message_class}))
    assert stopped == {"email": Reason.PAUSE_TENANT, "push": Reason.PAUSE_TENANT}


def test_a_paused_channel_leaves_the_others():
    assert reasons({"email"}) == {"email": Reason.PAUSE_CHANNEL}
    assert reasons({"sms"}) == {}
    assert reasons({"*", "email"}) == {"email": Reason.PAUSE_TENANT, "push": Reason.PAUSE_TENANT}


def test_an_emergency_waits_too():
    definition = a_type(**{"class": "service", "is_emergency": True})
    assert set(reasons({"*"}, definition=definition).values()) == {Reason.PAUSE_TENANT}


def test_a_pause_leads_over_what_the_recipient_said():
    situation = a_situation(allowances={"paused": frozenset({"email"}), "consents": ()})
    request = a_request()
    draft = a_decision(request, situation)
    assert (draft.outcome, draft.reason) == (Outcome.SUPPRESS, Reason.PAUSE_CHANNEL)


def test_a_pause_found_at_the_last_moment_overrides_the_draw():
    request, before = a_request(channels=["email"]), a_situation(definition=a_type(**{"class": "transactional"}))
    draft = a_decision(request, before)
    assert draft.outcome is Outcome.SEND_NOW
    after = a_situation(definition=before.definition, allowances={"paused": frozenset({"*"})})
    late = decisioning.recheck(draft, after)
    assert (late.outcome, late.overridden, late.rendered) == (Outcome.SUPPRESS, Reason.PAUSE_TENANT, None)
