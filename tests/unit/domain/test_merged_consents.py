"""Two ids of one person: whatever either refused stays refused, at every later moment."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.consent import ConsentState, ConsentStatus, refusal, successor
from domain.merged_consents import merged
from domain.values import ANY_CHANNEL, Channel, Purpose, Reason

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SCOPES = (ANY_CHANNEL, Channel.EMAIL, Channel.SMS)
PURPOSES = (Purpose.MARKETING, Purpose.ANALYTICS)


def state(status, *, day=-1, channel=ANY_CHANNEL, ends=None, purpose=Purpose.MARKETING):
    expires_at = NOW + timedelta(days=ends) if ends is not None else None
    return ConsentState(
        purpose=purpose,
        channel=channel,
        status=status,
        effective_at=NOW + timedelta(days=day),
        expires_at=expires_at,
    )


@st.composite
def states(draw):
    found = []
    for purpose in PURPOSES:
        for channel in SCOPES:
            if draw(st.booleans()):
                status = draw(st.sampled_from(ConsentStatus))
                ends = draw(st.none() | st.integers(-5, 5)) if status is ConsentStatus.GIVEN else None
                day = draw(st.integers(-6, 0))
                if ends is None or ends > day:
                    found.append(state(status, day=day, channel=channel, ends=ends, purpose=purpose))
    return found


def why(held, purpose, channel, at):
    return refusal(held, purpose=purpose, channel=channel, now=at)


@given(states(), states(), st.integers(0, 8))
def test_what_either_id_refuses_is_refused_and_what_both_allow_is_allowed(ours, theirs, days):
    held, at = merged(ours, theirs, now=NOW), NOW + timedelta(days=days)
    for purpose in PURPOSES:
        for channel in SCOPES:
            reasons = [why(each, purpose, channel, at) for each in (ours, theirs)]
            after = why(held, purpose, channel, at)
            if any(each not in (None, Reason.CONSENT_MISSING) for each in reasons):
                assert after is not None
            elif None not in reasons:
                assert after is Reason.CONSENT_MISSING, "a grant came from nowhere"


@given(states(), states())
def test_it_does_not_matter_which_id_stays(ours, theirs):
    held, other = merged(ours, theirs, now=NOW), merged(theirs, ours, now=NOW)
    for purpose in PURPOSES:
        for channel in SCOPES:
            assert (why(held, purpose, channel, NOW) is None) == (why(other, purpose, channel, NOW) is None)


@given(states())
def test_an_id_of_whom_nothing_is_known_changes_nothing(ours):
    held = merged(ours, [], now=NOW)
    for purpose in PURPOSES:
        for channel in SCOPES:
            assert why(held, purpose, channel, NOW) == why(ours, purpose, channel, NOW)


def test_a_grant_from_before_the_merge_does_not_lift_the_other_ids_denial():
    held = merged([state(ConsentStatus.GIVEN, day=-1)], [state(ConsentStatus.WITHDRAWN, day=-5)], now=NOW)
    late = successor(held[0], state(ConsentStatus.GIVEN, day=-2))
    assert why([late], Purpose.MARKETING, Channel.EMAIL, NOW) is Reason.CONSENT_WITHDRAWN
    fresh = successor(held[0], state(ConsentStatus.GIVEN, day=1))
    assert why([fresh], Purpose.MARKETING, Channel.EMAIL, NOW + timedelta(days=2)) is None


def test_the_earlier_expiry_wins():
    held = merged([state(ConsentStatus.GIVEN, ends=9)], [state(ConsentStatus.GIVEN, day=-3, ends=4)], now=NOW)
    assert held[0].expires_at == NOW + timedelta(days=4)


def test_a_denial_of_every_channel_takes_the_other_ids_grant_for_one_channel_too():
    theirs = [state(ConsentStatus.GIVEN, day=-1, channel=Channel.EMAIL)]
    held = merged([state(ConsentStatus.REFUSED, day=-5)], theirs, now=NOW)
    assert why(held, Purpose.MARKETING, Channel.EMAIL, NOW) is Reason.CONSENT_REFUSED
