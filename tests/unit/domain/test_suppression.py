"""What an operator may lift: what proved dead, and what a recipient said only once they said yes again."""

from datetime import timedelta

import pytest

from domain.consent import ConsentStatus
from domain.suppression import Suppression, SuppressionCause, may_be_lifted
from domain.values import ANY_CHANNEL, Channel, Purpose
from tests.builders import NOON, a_consent

LATER = NOON + timedelta(days=1)


def entry(cause: SuppressionCause) -> Suppression:
    return Suppression(channel=Channel.EMAIL, cause=cause, since=NOON)


@pytest.mark.parametrize("cause", [SuppressionCause.BOUNCED, SuppressionCause.MANUAL])
def test_what_the_recipient_did_not_say_may_be_lifted(cause):
    assert may_be_lifted(entry(cause), [])


@pytest.mark.parametrize("cause", [SuppressionCause.COMPLAINED, SuppressionCause.OPTED_OUT])
@pytest.mark.parametrize("channel", [Channel.EMAIL, ANY_CHANNEL])
def test_what_the_recipient_said_is_lifted_after_a_fresh_yes(cause, channel):
    assert not may_be_lifted(entry(cause), [])
    assert may_be_lifted(entry(cause), [a_consent(effective_at=LATER, channel=channel)])


@pytest.mark.parametrize(
    "said",
    [
        a_consent(effective_at=NOON),
        a_consent(effective_at=NOON - timedelta(days=1)),
        a_consent(effective_at=LATER, channel=Channel.SMS),
        a_consent(effective_at=LATER, purpose=Purpose.ANALYTICS),
        a_consent(ConsentStatus.REQUESTED, effective_at=LATER),
        a_consent(ConsentStatus.WITHDRAWN, effective_at=LATER),
    ],
)
def test_an_older_or_another_yes_does_not_count(said):
    assert not may_be_lifted(entry(SuppressionCause.COMPLAINED), [said])


def test_an_erasure_is_never_lifted():
    assert not may_be_lifted(entry(SuppressionCause.ERASED), [a_consent(effective_at=LATER)])
