"""Who left by which message, and a hazard of leaving that is fitted, or the published base rates that go on."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from assets.steps import event_days, habit_rows, leaving_fit
from assets.steps.training_rows import Facts
from models.opt_out import registered
from models.opt_out.spec import CHANNELS
from models.opt_out.train import PRIOR
from tests.unit.assets.test_habit_rows import END, GIVEN, NOWS, Days, event, held_to_the_champion, said

PUSH = CHANNELS.index("push")


def gathered(folder, events, *, leavings=(), barred=(), names=("r",)):
    lake, frame = Days(folder), pd.DataFrame(events)
    for day, part in frame.groupby(frame["occurred_at"].dt.date):
        lake.write(event_days.TABLE, event_days.table_of(part), day=day)
    refused = (said("open_tracking", "withdrawn"),)
    histories = {("t", name): (GIVEN, *(refused if name in barred else ())) for name in names}
    told = {("t", "r"): tuple((channel, END - timedelta(days=age)) for channel, age in leavings)}
    return habit_rows.gather(lake, Facts(histories, {}, leavings=told), NOWS)


def sent(*ages, channel="push", who="r"):
    return [event(who, "notification_sent", age, channel=channel, decision_id=f"{who}{channel}{age}") for age in ages]


def left_by(habits):
    """Return channel and whole days before the end of each message that somebody left by."""
    found = habits.sends[habits.sends["left"] == 1]
    return {(CHANNELS[row.channel], round(row.end_days)) for row in found.itertuples()}


MESSAGES = [*sent(40, 30, 20), *sent(25, 19, channel="email"), event("r", "login", 0)]


@pytest.mark.parametrize(
    ("events", "leavings", "expected"),
    [
        ([event("r", "unsubscribed", 18, channel="push")], (), {("push", 20)}),
        ([event("r", "complained", 18, channel="email")], (), {("email", 19)}),
        ([event("r", "complained", 18)], (), {("email", 19)}),
        ([], [("push", 28)], {("push", 30)}),
        ([], [("*", 19.5)], {("push", 20)}),
        ([event("r", "unsubscribed", 18, channel="push")], [("push", 18), ("push", 17)], {("push", 20)}),
        ([], [("push", 12), ("sms", 19), ("push", 41)], set()),
    ],
    ids=["unsubscribed", "complained", "of anything", "withdrawn", "from all", "said twice", "by no message"],
)
def test_the_last_message_on_the_channel_within_the_week_before_is_the_one_somebody_left_by(
    tmp_path, events, leavings, expected
):
    assert left_by(gathered(tmp_path, [*MESSAGES, *events], leavings=leavings)) == expected


def test_messages_of_whom_opens_are_barred_tell_of_leaving_but_not_of_answers(tmp_path):
    habits = gathered(tmp_path, [*MESSAGES, event("r", "unsubscribed", 18, channel="push")], barred=("r",))
    assert (len(habits.messages), len(habits.sends), habits.sends["left"].sum()) == (0, 5, 1.0)


def a_tenant(tmp_path, *, early: float, later: float):
    """Return habits of people of whom some leave by a push message, 1 in so many, before and after the cut."""
    dice, names, events = np.random.default_rng(4), [f"p{number:02d}" for number in range(60)], []
    for name in names:
        for age in range(8, 108, 5):
            events += sent(age, who=name)
            leaves = dice.random() < (later if age < 28 else early)
            events += [event(name, "unsubscribed", age - 0.5, channel="push")] * bool(leaves)
        events.append(event(name, "login", 0))
    return gathered(tmp_path, events, names=names)


def test_a_tenant_of_whom_more_leave_is_told_so_and_the_fit_is_held_to_the_champion(tmp_path):
    habits = a_tenant(tmp_path, early=0.05, later=0.05)
    fit = leaving_fit.opt_out(habits)
    assert (fit.refusal, fit.metrics["fitted"]) == ("", 1.0)
    assert fit.metrics["skill"] > 0.2
    assert fit.metrics["rate_push"] == pytest.approx(0.05, abs=0.02)
    assert fit.metrics["rate_email"] == pytest.approx(0.0015)
    assert registered.from_files(fit.files).left == fit.metrics["left"]
    held_to_the_champion(leaving_fit.opt_out, habits, fit, "skill")


def test_a_fit_that_tells_later_messages_worse_than_the_base_rates_is_refused(tmp_path):
    fit = leaving_fit.opt_out(a_tenant(tmp_path, early=0.2, later=0.0))
    assert fit.refusal.startswith("skill over the published base rates -")
    assert fit.metrics["fitted"] == 1.0


@pytest.mark.parametrize("events", [[], MESSAGES], ids=["nobody was written to", "nobody left"])
def test_where_too_few_left_the_published_base_rates_go_on_and_the_version_says_why(tmp_path, events):
    fit = leaving_fit.opt_out(gathered(tmp_path, [*events, event("r", "login", 1)]))
    found = registered.from_files(fit.files)
    assert found.coefficients == pytest.approx(PRIOR.coefficients)
    assert (found.is_learnt, fit.refusal, fit.metrics["fitted"]) == (False, "", 0.0)
    assert "not enough data: 0 left" in fit.limits
    assert "at least 10 and 200 are needed" in fit.limits


def test_base_rates_do_not_take_the_place_of_a_champion_that_tells_later_messages_better(tmp_path):
    fit = leaving_fit.opt_out(a_tenant(tmp_path / "many", early=0.05, later=0.05))
    few = a_tenant(tmp_path / "few", early=0.0, later=0.05)
    assert leaving_fit.opt_out(few).refusal == ""
    assert leaving_fit.opt_out(few, fit.files).refusal.startswith("the champion tells the last days better")
