"""A price that steers a volume: it finds what the target needs, goes back to nothing, and asks for enough to judge."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from adapters.postgres.channel_prices import Counted, Drawn, Standing
from benchmarks import pacing as bench
from domain.expected import ChannelTerms
from domain.quiet_hours import QuietHours
from domain.volume_targets import VolumeTarget
from serving import volume_pacing
from serving.volume_pacing import Clock
from serving.volume_values import Valued
from tests.builders import NEW_YORK, NOON, SETTINGS

MIDNIGHT = NOON - timedelta(hours=12)
EVEN = (100.0,) * 24
MINUTE = timedelta(minutes=1)
A_DAY = VolumeTarget(messages_a_day=1440)


def a_standing(**fields):
    given = {
        "price": 0.0, "scale": 0.1, "error": 0.0, "at": MIDNIGHT, "counted_until": MIDNIGHT, "sent": 0, "planned": 0.0,
        "sent_day": 0, "sent_week": 0, "hours": EVEN,
    }  # fmt: skip
    return Standing(**(given | fields))


def a_clock(at):
    return Clock(at, NEW_YORK, QuietHours(), at)


def priced(standing, arrivals, *, minutes, first=0):
    """Take a step a minute from a minute of the day on; return where it ends, and sends by minute."""
    dice, sends, waiting = np.random.default_rng(first), [], 0
    for minute in range(first + 1, first + minutes + 1):
        sends.append(int((dice.random(arrivals) > standing.price).sum()))
        waiting += sends[-1]
        clock = a_clock(MIDNIGHT + minute * MINUTE)
        after = volume_pacing.stepped(standing, A_DAY, Counted(waiting, waiting, arrivals), clock)
        standing, waiting = (standing, waiting) if after is None else (after, 0)
    return standing, sends


def test_sends_come_within_a_few_percent_of_the_target_and_the_day_ends_on_it():
    standing, sends = priced(a_standing(price=0.7, scale=0.29), 10, minutes=1440)
    assert sum(sends[60:]) == pytest.approx(1380, rel=0.08)
    assert sum(sends) == pytest.approx(1440, rel=0.02)
    assert sum(sends[700:1000]) == pytest.approx(300, rel=0.1)
    assert 0 <= sum(sends) - standing.sent_day < 10


def test_under_the_target_the_price_goes_back_to_nothing():
    standing, _ = priced(a_standing(scale=0.29), 10, minutes=600)
    assert standing.price > 0.5
    left = VolumeTarget(messages_a_day=100_000)
    for minute in range(601, 1200):
        clock = a_clock(MIDNIGHT + minute * MINUTE)
        standing = volume_pacing.stepped(standing, left, Counted(1, 1, 1), clock) or standing
    assert standing.price == 0


def test_too_little_planned_is_waited_for_unless_much_was_sent():
    target, soon = VolumeTarget(messages_a_day=48), a_clock(MIDNIGHT + MINUTE)
    assert volume_pacing.stepped(a_standing(), target, Counted(), soon) is None
    assert volume_pacing.stepped(a_standing(), target, Counted(3, 3, 3), soon) is None
    assert volume_pacing.stepped(a_standing(), target, Counted(30, 30, 30), soon).price > 0
    later = volume_pacing.stepped(a_standing(), target, Counted(), a_clock(MIDNIGHT + timedelta(hours=3)))
    assert (later.planned, later.price) == (pytest.approx(6), 0)


def test_once_the_day_is_used_up_every_send_raises_the_price():
    over = a_standing(sent_day=1440, sent_week=1440)
    soon = a_clock(MIDNIGHT + MINUTE)
    after = volume_pacing.stepped(over, A_DAY, Counted(1, 1, 1), soon)
    assert (after.price > 0, after.sent_day, after.planned) == (True, 1441, 0)
    assert volume_pacing.stepped(over, A_DAY, Counted(), soon) is None


def drawn(values, *, hours=EVEN, since=MIDNIGHT - timedelta(days=1)):
    kept = [{"push": ChannelTerms(p_convert=value).model_dump(mode="json")} for value in values]
    return Drawn(hours, since, tuple(kept), SETTINGS.model_dump(mode="json"))


def test_a_day_opens_at_the_price_under_which_the_day_before_had_sent_as_much():
    values = np.random.default_rng(0).random(2400)
    valued = Valued.of(drawn(values), {})
    target = VolumeTarget(messages_a_day=480)
    opened = volume_pacing.opened(None, target, Counted(), valued, "push", a_clock(MIDNIGHT))
    chance = 0.9 / (1 + np.exp(-(values - opened.price) / SETTINGS.temperature)) + 0.05
    assert chance.sum() == pytest.approx(480, abs=1)
    assert opened.scale == pytest.approx(values.std())
    assert opened.hours == EVEN
    more = volume_pacing.opened(None, A_DAY, Counted(), valued, "tenant", a_clock(MIDNIGHT))
    assert 0 < more.price < opened.price
    used_up = volume_pacing.opened(None, target, Counted(480, 480, 480), valued, "push", a_clock(MIDNIGHT + MINUTE))
    assert used_up.price > values.max()


def test_without_values_the_price_stays_and_is_asked_for_again_later():
    nothing = Valued.of(Drawn((0.0,) * 24, MIDNIGHT, (), None), {})
    opened = volume_pacing.opened(None, A_DAY, Counted(), nothing, "push", a_clock(MIDNIGHT))
    assert (opened.price, opened.scale) == (0, 0)
    soon, later = a_clock(MIDNIGHT + MINUTE), a_clock(MIDNIGHT + timedelta(hours=1))
    assert volume_pacing.stepped(opened, A_DAY, Counted(500, 500, 500), later) is None
    assert not volume_pacing.is_opening(opened, Counted(decisions=500), soon)
    assert not volume_pacing.is_opening(opened, Counted(decisions=9), later)
    assert volume_pacing.is_opening(opened, Counted(decisions=500), later)


def test_a_new_day_forgets_the_day_and_a_new_week_the_week():
    monday = a_standing(at=MIDNIGHT - timedelta(hours=1), sent_day=70, sent_week=400, price=0.3)
    counted, nothing = Counted(day=2, week=2), Valued.of(Drawn((0.0,) * 24, MIDNIGHT, (), None), {})
    assert volume_pacing.is_opening(monday, counted, a_clock(MIDNIGHT + MINUTE))
    opened = volume_pacing.opened(monday, A_DAY, counted, nothing, "push", a_clock(MIDNIGHT + MINUTE))
    assert (opened.sent_day, opened.sent_week, opened.price, opened.scale) == (2, 2, 0.3, 0.1)
    tuesday = a_clock(MIDNIGHT + timedelta(days=1, minutes=1))
    counted = Counted(day=2, week=5)
    opened = volume_pacing.opened(replace(opened, sent_week=40), A_DAY, counted, nothing, "push", tuesday)
    assert (opened.sent_day, opened.sent_week) == (2, 45)


def test_the_plan_follows_the_hours_that_were_seen_and_leaves_none_empty():
    quiet = volume_pacing.profile((0.0,) * 24, QuietHours())
    assert quiet[3] == pytest.approx(0.05 / 24)
    assert quiet[8] > 0.07
    seen = volume_pacing.profile((0.0,) * 20 + (1000.0,) + (0.0,) * 3, QuietHours())
    assert (seen[20] > 0.95, seen[8]) == (True, pytest.approx(0.05 / 24))
    for plan in (quiet, seen):
        assert sum(plan) == pytest.approx(1)
        assert volume_pacing.share(plan, MIDNIGHT, MIDNIGHT + timedelta(days=1), NEW_YORK) == pytest.approx(1)
    half = volume_pacing.share(seen, MIDNIGHT + timedelta(hours=20.5), MIDNIGHT + timedelta(hours=21), NEW_YORK)
    assert half == pytest.approx(seen[20] / 2)


def test_days_of_arrivals_through_the_stages_keep_both_channels_targets():
    found = bench.measure(days=3, arrivals=1200, seed=1)["ways"]
    assert found["none"]["of_target"] > 3
    assert max(found["price"]["volume_error"].values()) < 0.1
    assert found["price"]["value_a_send"] > found["cap"]["value_a_send"]
