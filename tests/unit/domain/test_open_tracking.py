"""Open tracking: a consent of its own where a rule demands one, and no tracking after a refusal anywhere."""

import pytest

from domain.consent import ConsentStatus
from domain.gates import may_use_opens, open_tracking
from domain.legal.places import Place
from domain.values import Channel, Purpose, Reason
from tests.builders import NEW_YORK, NOON, a_consent, a_situation

EMAIL = Channel.EMAIL
RULE = "cnil.open_tracking"


def in_country(*countries):
    return Place((NEW_YORK,), frozenset(countries) or None, "declared", 1.0)


def tracked(*consents, place, channel=EMAIL):
    situation = a_situation(place=place, allowances={"consents": consents})
    found = open_tracking(situation, channel)
    assert may_use_opens(situation) == open_tracking(situation, EMAIL).is_allowed
    return found.is_allowed, found.reason, found.rule


def opens(status=ConsentStatus.GIVEN, **fields):
    return a_consent(status, purpose=Purpose.OPEN_TRACKING, **fields)


def test_in_france_nothing_is_tracked_without_a_consent_of_its_own():
    marketing = a_consent()
    assert tracked(marketing, place=in_country("FR")) == (False, Reason.CONSENT_MISSING, RULE)
    assert tracked(opens(), place=in_country("FR")) == (True, None, RULE)


@pytest.mark.parametrize("place", [in_country(), in_country("US", "FR")])
def test_whoever_may_be_in_france_is_treated_as_if(place):
    assert tracked(place=place) == (False, Reason.CONSENT_MISSING, RULE)


def test_elsewhere_silence_permits():
    assert tracked(place=in_country("US")) == (True, None, None)


@pytest.mark.parametrize("status", [ConsentStatus.REFUSED, ConsentStatus.WITHDRAWN, ConsentStatus.EXPIRED])
@pytest.mark.parametrize("country", ["US", "FR"])
def test_a_denial_ends_it_everywhere(status, country):
    is_allowed, reason, _ = tracked(opens(status), place=in_country(country))
    assert (is_allowed, reason) == (False, Reason(f"consent.{status.value}"))


@pytest.mark.parametrize("country", ["US", "FR"])
def test_a_consent_that_has_ended_counts_no_more(country):
    assert tracked(opens(expires_at=NOON), place=in_country(country))[:2] == (False, Reason.CONSENT_EXPIRED)


def test_a_rule_about_email_says_nothing_of_push():
    assert tracked(place=in_country("FR"), channel=Channel.PUSH) == (True, None, None)
