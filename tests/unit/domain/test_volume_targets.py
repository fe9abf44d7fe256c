"""Volume targets and prices: what a day may have of a week, and what a price adds up to, in the record and in words."""

from datetime import timedelta

import pytest

from domain.decision_record import Evidence, record
from domain.decision_replay import differences, past
from domain.explained import terms_of
from domain.explanations import explain
from domain.gates import screen
from domain.values import Channel
from domain.volume_targets import VolumeTarget, VolumeTargets, windows
from serving.expectations import expected
from serving.scoring import Scored
from tests.builders import (
    NEW_YORK,
    NOON,
    RULES,
    SETTINGS,
    a_decision,
    a_price,
    a_request,
    a_situation,
    a_type,
)

EMAIL, PUSH = Channel.EMAIL, Channel.PUSH
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("day", "week", "before", "days", "told"),
    [
        (100, None, 900, 0, 100),
        (None, 700, 0, 0, 100),
        (None, 700, 300, 3, 100),
        (None, 700, 100, 6, 600),
        (100, 700, 650, 2, 10),
        (None, 700, 800, 2, 0),
    ],
)
def test_what_is_left_of_a_week_is_spread_over_the_days_left(day, week, before, days, told):
    target = VolumeTarget(messages_a_day=day, messages_a_week=week)
    assert target.of_today(before, now=NOON + days * DAY, zone=NEW_YORK) == told


def test_windows_are_the_tenants_own_on_a_short_day_too():
    start, end, week = windows(NOON.replace(day=8), NEW_YORK)
    assert end - start == timedelta(hours=23)
    assert start - week == 6 * DAY


def test_a_channel_costs_its_own_price_and_the_tenants():
    prices = a_price(tenant=0.01, push=0.02)
    assert (prices.of(PUSH), prices.of(EMAIL)) == (pytest.approx(0.03), 0.01)
    assert set(VolumeTargets.model_validate({"channels": {"push": {"messages_a_day": 1}}}).by_scope()) == {"push"}


def kept(prices, **fields):
    """What is recorded of a decision at some prices, with a model that values both channels alike."""
    situation = a_situation(prices=prices, **fields)
    request = a_request(explain=True)
    told = Scored({EMAIL: 0.1, PUSH: 0.1}, None)
    (mean,) = expected([situation], [screen(request, situation)], [told], send_cost=SETTINGS.send_cost)
    evidence = Evidence("s", is_holdout=False, may_personalize=True, degraded=None, settings=SETTINGS, type_version=1)
    return record(a_decision(request, situation, mean), evidence)


def chances(found):
    (stage, *_) = found["stages"]
    return {option["channel"]: p for option, p in zip(stage["options"], stage["probabilities"], strict=True)}


def test_the_price_comes_off_before_the_chances_and_a_replay_finds_the_same():
    free, priced = kept(None), kept(a_price(push=0.05))
    assert chances(free)["push"] == pytest.approx(chances(free)["email"], abs=0.05)
    assert chances(priced)["push"] < chances(free)["push"] / 2
    terms = terms_of(priced)[PUSH]
    assert (terms.price, terms.net) == (0.05, pytest.approx(terms.value - 0.05))
    assert priced["volume_prices"]["scopes"]["push"] == {"price": 0.05, "version": 1}
    for each in (free, priced):
        assert differences(past(each, a_type(), RULES)) == ()


def test_the_explanation_tells_the_price_and_that_it_is_old():
    assert not any("price" in each for each in explain(kept(None)))
    told = explain(kept(a_price(push=0.05).model_copy(update={"is_stale": True})))
    assert "The price of volume came off the value, in conversions a message: push 0.05." in told
    assert "That price is the last one known: its store had not answered lately." in told
