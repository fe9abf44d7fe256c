"""What is left to do: when it waits, what ends it, and how much a rule counts of what is reserved for later."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contact_budget import BudgetRule, Contact, ContactBudget, Spent, held
from domain.handover import State, Verdict, before_the_gates
from domain.must_reach import MustReach, Reached
from domain.values import Channel, Reason
from tests.builders import NEW_YORK, NOON

LATER = NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("state", "now", "expected"),
    [
        (State.WAITING, NOON - timedelta(seconds=1), (Verdict.WAIT, Reason.HANDOVER_NOT_DUE)),
        (State.WAITING, NOON, None),
        (State.WAITING, LATER, (Verdict.STOP, Reason.EXPIRY_PASSED)),
        (State.HANDED_OVER, NOON, (Verdict.STOP, Reason.HANDOVER_DONE)),
        (State.REACHED, NOON, (Verdict.STOP, Reason.HANDOVER_REACHED)),
        (State.STOPPED, NOON, (Verdict.STOP, Reason.CONSENT_WITHDRAWN)),
    ],
)
def test_what_is_not_due_waits_and_what_is_settled_or_over_stops(state, now, expected):
    found = before_the_gates(state, Reason.CONSENT_WITHDRAWN, due_at=NOON, expires_at=LATER, now=now)
    assert found == expected


def test_each_step_has_its_wait_and_the_last_repeats():
    must = MustReach(channels=(Channel.PUSH, Channel.SMS), wait_minutes=(5, 30))
    assert [must.wait(sends) for sends in (1, 2, 3)] == [timedelta(minutes=each) for each in (5, 30, 30)]
    assert Reached.OPENED.told_by < Reached.DELIVERED.told_by


def a_contact(at, campaign_id=None) -> Contact:
    return Contact(channel="email", at=at, message_class="marketing", campaign_id=campaign_id)


def ask(rule: BudgetRule, sent, at=NOON, campaign_id=None):
    contact = a_contact(at, campaign_id)
    spent = Spent(tuple(sent))
    return held(ContactBudget(rules=(rule,)), spent, contact, zones=[NEW_YORK], tenant_zone=NEW_YORK)


def test_messages_of_one_campaign_keep_apart_over_all_channels_and_others_do_not_mind():
    rule = BudgetRule(id="apart", limit=1, rolling_minutes=240, each_campaign=True)
    sent = [a_contact(NOON - timedelta(hours=1), "spring")]
    assert ask(rule, sent, campaign_id="spring").opens_at == NOON + timedelta(hours=3)
    assert ask(rule, sent, campaign_id="summer") is None
    assert ask(rule, sent) is None


def test_what_is_reserved_for_another_day_leaves_the_window_of_this_one():
    rule = BudgetRule(id="one", limit=1, calendar="day")
    assert ask(rule, [a_contact(NOON + timedelta(days=1))]) is None
    assert ask(rule, [a_contact(NOON + timedelta(hours=1))]) is not None


@given(
    minutes=st.lists(st.integers(min_value=-90, max_value=90), max_size=8),
    limit=st.integers(min_value=1, max_value=4),
)
def test_one_more_goes_exactly_when_no_stretch_of_an_hour_would_hold_too_many(minutes, limit):
    rule = BudgetRule(id="hour", limit=limit, rolling_minutes=60)
    moments = [NOON + timedelta(minutes=each) for each in minutes]
    everything = sorted([*moments, NOON])
    hour = timedelta(minutes=60)
    windows = [[at for at in everything if end - hour < at <= end] for end in everything]
    too_many = any(len(each) > limit for each in windows if NOON in each)
    assert (ask(rule, [a_contact(at) for at in moments]) is not None) == too_many
