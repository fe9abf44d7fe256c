"""Plans: their options, what those are worth, the limits they share, and what is refused."""

import math
from datetime import timedelta

import pytest
from pydantic import ValidationError

from domain.expected import Activity
from domain.gates import screen
from domain.plans import PlanBudgets, PlanRequest, TooLarge, check_cells, late_window, options, resources, worth
from domain.stages import Asked
from domain.values import Channel
from tests.builders import NOON, SETTINGS, a_request, a_situation, an_expectation

EMAIL, PUSH = Channel.EMAIL, Channel.PUSH
DAY = {"from": NOON.isoformat(), "until": (NOON + timedelta(hours=8)).isoformat()}


def a_plan(**fields):
    return PlanRequest.model_validate({"message": {"type": "news"}} | fields)


def an_asked(expected, situation=None):
    request, situation = a_request(), situation or a_situation()
    return Asked("d", request, situation, expected, False, SETTINGS), screen(request, situation)  # noqa: FBT003


def test_an_option_is_a_channel_in_an_equal_part_of_the_window():
    given = options(a_plan(window=DAY, slots=2), [EMAIL, PUSH], NOON)
    assert [(each.channel, each.slot) for each in given] == [(EMAIL, 0), (PUSH, 0), (EMAIL, 1), (PUSH, 1)]
    middle = NOON + timedelta(hours=4)
    assert [(given[0].starts, given[0].ends), (given[2].starts, given[2].ends)] == [
        (NOON, middle), (middle, NOON + timedelta(hours=8)),
    ]  # fmt: skip
    (now,) = options(a_plan(channels=["push"]), [EMAIL, PUSH], NOON)
    assert (now.channel, now.starts, now.ends) == (PUSH, NOON, None)


def test_what_the_gates_refuse_is_not_permitted_and_the_rest_is_worth_its_value():
    (email, push) = options(a_plan(), [EMAIL, PUSH], NOON)
    told = an_asked(an_expectation({EMAIL: 0.1}))
    assert worth(email, *told) == pytest.approx(0.1 - SETTINGS.send_cost)
    assert worth(push, *told) == -math.inf


def test_while_no_model_speaks_options_are_compared_by_visits():
    expected = an_expectation({EMAIL: 0.1})
    terms = expected.channels[EMAIL].model_copy(update={"p_convert": None, "p_open": 0.2, "p_active": 0.5})
    (email,) = options(a_plan(channels=["email"]), [EMAIL], NOON)
    told = an_asked(expected.model_copy(update={"channels": {EMAIL: terms}}))
    assert worth(email, *told) == pytest.approx(0.2 * 0.5)


def test_an_hour_at_which_people_are_active_is_worth_more():
    first, second = options(a_plan(channels=["email"], window=DAY, slots=2), [EMAIL], NOON)
    rates = tuple(1.0 if hour % 24 == 16 else 0.0 for hour in range(168))
    told = an_asked(an_expectation({EMAIL: 0.1}, activity=Activity(source="test", log_rates=rates)))
    assert worth(second, *told) > worth(first, *told)


def test_every_limit_is_a_resource_and_what_has_none_is_counted():
    given = options(a_plan(window=DAY, slots=2), [EMAIL, PUSH], NOON)
    budgets = PlanBudgets(messages=10, channels={PUSH: 3}, per_slot=6, money=1.5, costs={EMAIL: 0.1})
    shared = resources(budgets, given)
    assert shared.names == ("messages", "channel.email", "channel.push", "slot.0", "slot.1", "money")
    assert shared.limits == (10, math.inf, 3, 6, 6, 1.5)
    assert shared.usage[3] == (1, 0, 1, 0, 1, 0.0)
    assert shared.usage[0] == (1, 1, 0, 1, 0, 0.1)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"audience": {"field": "profile.age", "less_than": 3}, "recipient_id": "r"}, "not both"),
        ({"slots": 2}, "window.until"),
        ({"slots": 9, "window": DAY}, "less than or equal to 8"),
        ({"channels": ["push", "push"]}, "name a channel twice"),
        ({"budgets": {"money": 3}}, "must have costs"),
        ({"budgets": {"costs": {"push": 5e-324}}}, "0 or at least 0.000001"),
        ({"budgets": {"costs": {"push": 9e-7}}}, "0 or at least 0.000001"),
        ({"budgets": {"messages": -1}}, "greater than or equal to 0"),
        ({"audience": {"field": "profile.shoe", "equals": 1}}, "the name of a fact"),
    ],
)
def test_a_plan_that_means_nothing_says_what_was_expected(fields, expected):
    with pytest.raises(ValidationError, match=expected):
        a_plan(**fields)


def test_a_plan_reads_back_from_what_is_stored():
    plan = a_plan(audience={"field": "profile.country", "equals": "FR"}, window=DAY, slots=2, budgets={"messages": 3})
    assert PlanRequest.model_validate_json(plan.model_dump_json(by_alias=True)) == plan


@pytest.mark.parametrize(
    ("start", "end", "slots", "expected"),
    [
        (None, timedelta(0), 1, "not over"),
        (timedelta(hours=-2), timedelta(hours=-1), 1, "not over"),
        (None, timedelta(seconds=59), 1, "at least a minute"),
        (timedelta(hours=1), timedelta(hours=1, microseconds=2), 8, "at least a minute"),
        (timedelta(hours=1), timedelta(hours=1, minutes=7, seconds=59), 8, "at least a minute"),
        (timedelta(hours=1), timedelta(hours=1, minutes=8), 8, None),
        (timedelta(hours=-1), timedelta(hours=1), 8, None),
        (timedelta(hours=1), None, 1, None),
    ],
)
def test_a_window_must_not_be_over_and_leave_every_slot_a_minute(start, end, slots, expected):
    moments = {name: NOON + after for name, after in (("from", start), ("until", end)) if after is not None}
    found = late_window(a_plan(window=moments, slots=slots), NOON)
    assert (found is None) if expected is None else expected in found
    assert late_window(a_plan(), NOON) is None


def test_a_million_people_with_eight_options_are_planned_and_one_more_is_not():
    check_cells(1_000_000, 8)
    with pytest.raises(TooLarge, match="at most 1000000 people where each has 8 options"):
        check_cells(1_000_001, 8)


def test_prices_that_may_be_none_or_a_millionth():
    assert PlanBudgets(costs={EMAIL: 0, PUSH: 1e-6}).costs == {EMAIL: 0, PUSH: 1e-6}
