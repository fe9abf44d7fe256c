"""Flips: each says a fact that, made so and run again, does change the decision; and none says one that does not."""

from datetime import timedelta

import pytest

from domain import decision_replay, flips
from domain.decision_record import Evidence, record
from domain.expected import ChannelTerms
from domain.flips import Flip, FlipKind
from domain.identity import draw
from domain.switches import ChannelSwitch
from domain.values import Channel, Outcome
from tests.builders import NOON, RULES, SETTINGS, a_decision, a_situation, a_type, all_consents, an_expectation

EMAIL, PUSH = Channel.EMAIL, Channel.PUSH
UNLUCKY = next(f"d{n}" for n in range(999) if draw(f"d{n}", "policy.channel") < 0.1)
"""A decision whose draw falls on the first option, sending nothing, wherever that has a tenth of the chance."""


def past(definition=None, expected=None, decision_id="d-1", **situation):
    """A decision as it was recorded and read back."""
    definition = definition or a_type()
    draft = a_decision(
        situation=a_situation(definition=definition, **situation), expected=expected, decision_id=decision_id
    )
    evidence = Evidence("s", is_holdout=False, may_personalize=True, degraded=None, settings=SETTINGS, type_version=1)
    return decision_replay.past(record(draft, evidence), definition, RULES), draft


def found(*args, tire=None, **fields):
    decision, _ = past(*args, **fields)
    return flips.flips(decision, tire)


def test_with_consent_to_each_channel_each_would_have_been_permitted():
    assert found(allowances={"consents": ()}) == (
        Flip(kind=FlipKind.CONSENT, channel=EMAIL),
        Flip(kind=FlipKind.CONSENT, channel=PUSH),
    )


def test_consent_is_no_flip_where_another_gate_would_still_refuse():
    off = ChannelSwitch(channel=EMAIL, is_on=False)
    told = found(allowances={"consents": (), "switches": (off,)})
    assert told == (Flip(kind=FlipKind.CONSENT, channel=PUSH),)


def test_a_channel_switched_off_would_have_been_permitted_with_it_on():
    off = ChannelSwitch(channel=EMAIL, is_on=False)
    told = found(allowances={"consents": all_consents(), "switches": (off,)})
    assert told == (Flip(kind=FlipKind.SWITCHED_ON, channel=EMAIL),)


def test_at_night_it_names_the_moment_from_which_it_would_have_been_permitted():
    night = NOON + timedelta(hours=12)
    told = found(now=night)
    assert {each.kind for each in told} == {FlipKind.LATER}
    assert {each.since for each in told} == {night + timedelta(hours=8)}
    assert told[0].told() == "From 2026-03-03T13:00:00+00:00 on, email would have been permitted."


def test_what_was_sent_has_no_flip():
    assert found() == ()


def priced(price=0.0, weary=0.0):
    terms = ChannelTerms(
        p_open=0.1, p_convert=0.1, p_opt_out=0.02 * (1 + weary), channel_value=1.0, price=price, fatigue=weary
    )
    return an_expectation(None, channels={EMAIL: terms})


def rested(terms, weary):
    return terms.model_copy(update={"p_opt_out": 0.02 * (1 + weary), "fatigue": weary})


def test_the_largest_price_that_sends_is_found_and_a_little_more_does_not():
    only = a_type(channels=["email"])
    decision, draft = past(only, priced(price=0.2), UNLUCKY)
    assert draft.outcome is Outcome.SUPPRESS
    (flip,) = flips.flips(decision)
    assert flip.kind is FlipKind.PRICE
    assert past(only, priced(price=flip.at_most), UNLUCKY)[1].outcome is Outcome.SEND_NOW
    assert past(only, priced(price=flip.at_most + 1e-6), UNLUCKY)[1].outcome is Outcome.SUPPRESS


def test_the_largest_weariness_that_sends_is_found_when_somebody_can_say_what_it_does():
    only = a_type(channels=["email"])
    decision, _ = past(only, priced(weary=8.0), UNLUCKY)
    assert flips.flips(decision) == ()
    (flip,) = flips.flips(decision, rested)
    assert (flip.kind, flip.channel) == (FlipKind.FATIGUE, EMAIL)
    assert 0 < flip.at_most < 8
    assert past(only, priced(weary=flip.at_most), UNLUCKY)[1].outcome is Outcome.SEND_NOW
    assert "weariness of at most" in flip.told()


@pytest.mark.parametrize("price", [0.2])
def test_a_draw_that_falls_on_nothing_whatever_the_price_has_no_flip(price):
    never = next(f"d{n}" for n in range(9999) if draw(f"d{n}", "policy.channel") < 0.05)
    assert found(a_type(channels=["email"]), priced(price=price), decision_id=never) == ()
