"""Consent: which states permit, which refuse, and why; the denial wins."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import consent
from domain.consent import ConsentChange, ConsentState, ConsentStatus, successor
from domain.values import Channel, Purpose, Reason

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
EMAIL = Channel.EMAIL
GIVEN, WITHDRAWN, REFUSED = ConsentStatus.GIVEN, ConsentStatus.WITHDRAWN, ConsentStatus.REFUSED


def a_state(status=GIVEN, channel="*", at=NOON - HOUR, expires_at=None, purpose=Purpose.MARKETING) -> ConsentState:
    return ConsentState(purpose=purpose, channel=channel, status=status, effective_at=at, expires_at=expires_at)


def refusal(*states: ConsentState, channel=EMAIL, now=NOON) -> Reason | None:
    return consent.refusal(states, purpose=Purpose.MARKETING, channel=channel, now=now)


def test_no_record_means_no():
    assert refusal() is Reason.CONSENT_MISSING
    assert refusal(a_state(purpose=Purpose.ANALYTICS)) is Reason.CONSENT_MISSING
    assert refusal(a_state(channel=Channel.SMS)) is Reason.CONSENT_MISSING
    assert refusal(a_state(ConsentStatus.REQUESTED)) is Reason.CONSENT_MISSING


@pytest.mark.parametrize("scope", ["*", EMAIL])
def test_a_grant_for_the_channel_or_for_every_channel_permits(scope):
    assert refusal(a_state(channel=scope)) is None


def test_a_grant_begins_at_its_moment_and_has_ended_at_its_expiry():
    assert refusal(a_state(at=NOON)) is None
    assert refusal(a_state(at=NOON + TICK)) is Reason.CONSENT_MISSING
    assert refusal(a_state(expires_at=NOON + TICK)) is None
    assert refusal(a_state(expires_at=NOON)) is Reason.CONSENT_EXPIRED


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (WITHDRAWN, Reason.CONSENT_WITHDRAWN),
        (REFUSED, Reason.CONSENT_REFUSED),
        (ConsentStatus.EXPIRED, Reason.CONSENT_EXPIRED),
    ],
)
def test_a_denial_is_named(status, reason):
    assert refusal(a_state(status)) is reason


def test_a_denial_for_the_channel_stands_against_a_later_grant_for_every_channel():
    denied = a_state(WITHDRAWN, EMAIL, at=NOON - 2 * HOUR)
    assert refusal(denied, a_state(at=NOON - HOUR)) is Reason.CONSENT_WITHDRAWN
    assert refusal(denied, a_state(at=NOON - HOUR), channel=Channel.SMS) is None


def test_a_denial_for_every_channel_takes_away_what_was_granted_before_and_at_the_same_moment():
    for granted_at in (NOON - 2 * HOUR, NOON - HOUR):
        states = a_state(WITHDRAWN, at=NOON - HOUR), a_state(channel=EMAIL, at=granted_at)
        assert refusal(*states) is Reason.CONSENT_WITHDRAWN
    assert refusal(a_state(WITHDRAWN, at=NOON - HOUR), a_state(channel=EMAIL, at=NOON - HOUR + TICK)) is None


def test_a_denial_counts_even_when_it_is_dated_ahead_of_our_clock():
    assert refusal(a_state(WITHDRAWN, at=NOON + HOUR)) is Reason.CONSENT_WITHDRAWN


def test_of_two_grants_the_later_decides_about_the_expiry():
    old = a_state(at=NOON - 3 * HOUR)
    late = a_state(channel=EMAIL, at=NOON - 2 * HOUR, expires_at=NOON - HOUR)
    assert refusal(old, late) is Reason.CONSENT_EXPIRED


def test_an_older_grant_never_resurrects_a_withdrawn_one():
    states = [a_state(at=NOON - 2 * HOUR), a_state(WITHDRAWN, at=NOON - HOUR), a_state(at=NOON - HOUR)]
    for order in permutations(states):
        current = None
        for each in order:
            current = successor(current, each)
        assert current == states[1]


def test_a_request_never_replaces_an_answer():
    answered = a_state(at=NOON - HOUR)
    assert successor(answered, a_state(ConsentStatus.REQUESTED, at=NOON)) == answered
    assert successor(a_state(ConsentStatus.REQUESTED, at=NOON), answered) == answered


STATES = st.builds(
    a_state,
    status=st.sampled_from(ConsentStatus),
    at=st.sampled_from([NOON - HOUR, NOON - TICK, NOON, NOON + TICK]),
    expires_at=st.sampled_from([None, NOON, NOON + HOUR]),
)


@given(st.lists(STATES, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_what_holds_does_not_depend_on_the_order_in_which_records_arrive(states, random):
    def folded(order):
        current = None
        for each in order:
            current = successor(current, each)
        return current

    shuffled = list(states)
    random.shuffle(shuffled)
    assert folded(shuffled) == folded(states)


def test_as_of_tells_what_held_at_a_moment():
    history = [a_state(at=NOON - 2 * HOUR), a_state(WITHDRAWN, at=NOON - HOUR), a_state(at=NOON)]
    expected = [(NOON - 3 * HOUR, Reason.CONSENT_MISSING), (NOON - 2 * HOUR, None)]
    expected += [(NOON - HOUR - TICK, None), (NOON - HOUR, Reason.CONSENT_WITHDRAWN), (NOON, None)]
    for moment, reason in expected:
        assert refusal(*consent.as_of(reversed(history), moment), now=moment) is reason


def a_change(status=GIVEN, **fields) -> ConsentChange:
    return ConsentChange.model_validate({"purpose": "marketing", "status": status, "source": "test"} | fields)


def test_no_change_is_dated_ahead_of_its_recording():
    assert a_change(effective_at=NOON + HOUR).state(NOON).effective_at == NOON
    assert a_change(effective_at=NOON - HOUR).state(NOON).effective_at == NOON - HOUR


def test_a_withdrawal_is_not_dated_before_the_grant_it_withdraws_when_our_clock_lags():
    ahead = a_state(at=NOON + HOUR)
    withdrawn = a_change(WITHDRAWN).state(NOON, [ahead])
    assert refusal(successor(ahead, withdrawn), now=NOON + 2 * HOUR) is Reason.CONSENT_WITHDRAWN


@pytest.mark.parametrize(
    "fields",
    [
        {"status": WITHDRAWN, "expires_at": NOON.isoformat()},
        {"effective_at": NOON.isoformat(), "expires_at": NOON.isoformat()},
        {"channel": "fax"},
        {"purpose": "everything"},
        {"effective_at": "1700000000"},
    ],
)
def test_a_change_that_makes_no_sense_is_refused(fields):
    with pytest.raises(ValueError, match="validation error"):
        a_change(**({"status": GIVEN} | fields))
