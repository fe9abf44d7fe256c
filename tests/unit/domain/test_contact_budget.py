"""A cap lets through as many as it says, in windows that roll and in a calendar's, and says when more may go."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.calendar_units import CalendarUnit
from domain.contact_budget import DEFAULT, BudgetRule, Contact, ContactBudget, Per, Scope, Spent, charged, held
from domain.gates import screen
from domain.values import Channel, MessageClass, Outcome, Reason
from tests.builders import NEW_YORK, NOON, a_decision, a_request, a_situation, a_type

UTC_ZONE = ZoneInfo("UTC")
TOKYO, LORD_HOWE = ZoneInfo("Asia/Tokyo"), ZoneInfo("Australia/Lord_Howe")


def a_contact(at: datetime = NOON, **fields) -> Contact:
    given = {"channel": "email", "message_class": "marketing", "category": "news", "campaign_id": None}
    return Contact(at=at, **(given | fields))


def a_budget(**fields) -> ContactBudget:
    return ContactBudget(rules=({"id": "rule", "limit": 3, "rolling_minutes": 60} | fields,))


def ask(budget: ContactBudget, *, at: datetime = NOON, sent=(), used=None, zones=(NEW_YORK,), **fields):
    return held(budget, Spent(tuple(sent), used or {}), a_contact(at, **fields), zones=zones, tenant_zone=UTC_ZONE)


def minutes(*before: float) -> list[Contact]:
    return [a_contact(NOON - timedelta(minutes=each)) for each in before]


def test_the_third_goes_and_the_fourth_waits_until_the_first_has_left_the_window() -> None:
    assert ask(a_budget(), sent=minutes(50, 20)) is None
    found = ask(a_budget(), sent=minutes(50, 20, 5))
    assert (found.reason, found.rule) == (Reason.BUDGET_RECIPIENT, "rule")
    assert found.opens_at == NOON + timedelta(minutes=10)


def test_a_rolling_window_is_open_at_its_far_end() -> None:
    assert ask(a_budget(), sent=minutes(60, 20, 5)) is None
    assert ask(a_budget(), sent=minutes(59.9999, 20, 5)) is not None


def test_with_more_than_the_limit_the_wait_is_until_enough_have_left() -> None:
    found = ask(a_budget(), sent=minutes(50, 40, 30, 20, 10))
    assert found.opens_at == NOON + timedelta(minutes=30)
    assert ask(a_budget(), at=found.opens_at, sent=minutes(50, 40, 30, 20, 10)) is None


def test_spacing_is_one_in_a_window() -> None:
    spacing = a_budget(limit=1, rolling_minutes=120)
    assert ask(spacing, sent=minutes(30)).opens_at == NOON + timedelta(minutes=90)


def test_a_limit_of_nothing_never_opens() -> None:
    for rule in ({"rolling_minutes": 60}, {"rolling_minutes": None, "calendar": "day"}):
        assert ask(a_budget(limit=0, **rule)).opens_at is None


def test_a_day_is_the_recipients_own() -> None:
    daily = a_budget(rolling_minutes=None, calendar="day", limit=1)
    last_evening = [a_contact(datetime(2026, 3, 2, 4, 59, tzinfo=UTC))]
    assert ask(daily, sent=last_evening) is None
    this_morning = [a_contact(datetime(2026, 3, 2, 5, tzinfo=UTC))]
    assert ask(daily, sent=this_morning).opens_at == datetime(2026, 3, 3, 5, tzinfo=UTC)


def test_who_may_be_in_two_zones_has_room_only_where_both_have_it() -> None:
    daily = a_budget(rolling_minutes=None, calendar="day", limit=1)
    yesterday_in_tokyo = [a_contact(datetime(2026, 3, 2, 14, 59, tzinfo=UTC))]
    assert ask(daily, at=NOON, sent=yesterday_in_tokyo, zones=(TOKYO,)) is None
    assert ask(daily, at=NOON, sent=yesterday_in_tokyo, zones=(TOKYO, NEW_YORK)) is not None


@pytest.mark.parametrize(
    ("scope", "fields", "counts"),
    [
        ({}, {}, True),
        ({"class": "marketing"}, {"message_class": "service"}, False),
        ({"channel": "email"}, {"channel": "push"}, False),
        ({"category": "news"}, {"category": "offers"}, False),
        ({"category": "news"}, {"category": None}, False),
        ({"campaign_id": "spring"}, {"campaign_id": "spring"}, True),
        ({"campaign_id": "spring"}, {"campaign_id": "autumn"}, False),
    ],
)
def test_only_what_a_rule_is_about_counts(scope: dict, fields: dict, *, counts: bool) -> None:
    budget = a_budget(scope=scope, limit=1)
    asked = {"campaign_id": scope.get("campaign_id")}
    assert (ask(budget, sent=[a_contact(**fields)], **asked) is not None) is counts


def test_a_receipt_is_not_held_back_by_what_marketing_used_up_but_counts_against_it() -> None:
    budget = a_budget(limit=1)
    assert ask(budget, sent=minutes(5), message_class="transactional") is None
    assert ask(budget, sent=[a_contact(message_class="transactional")]) is not None


def test_a_full_channel_holds_back_every_class_until_the_next_minute() -> None:
    budget = a_budget(per="tenant", rolling_minutes=None, calendar="minute", limit=10, scope={"channel": "email"})
    at = NOON + timedelta(seconds=30)
    assert ask(budget, at=at, used={"rule": 9}) is None
    for message_class in MessageClass:
        found = ask(budget, at=at, used={"rule": 10}, message_class=message_class)
        assert (found.reason, found.opens_at) == (Reason.BUDGET_CAPACITY, NOON + timedelta(minutes=1))
    assert ask(budget, at=at, used={"rule": 10}, channel="push") is None
    assert [rule.id for rule in charged(budget, a_contact())] == ["rule"]
    assert charged(budget, a_contact(channel="push")) == ()


def test_what_is_shipped_lets_three_marketing_messages_a_day_and_ten_messages_an_hour_through() -> None:
    hours = [a_contact(NOON - timedelta(hours=each)) for each in (1.5, 2.5)]
    assert ask(DEFAULT, sent=hours) is None
    assert ask(DEFAULT, sent=[*hours, a_contact(NOON - timedelta(hours=3.5))]).rule == "recipient_day_marketing"
    others = [a_contact(NOON - timedelta(minutes=each), message_class="service") for each in range(1, 11)]
    assert ask(DEFAULT, sent=others).rule == "recipient_hour"
    assert ask(DEFAULT, sent=others[1:]) is None
    assert {rule.limit for rule in DEFAULT.of(Per.TENANT) if rule.calendar is CalendarUnit.MINUTE} == {1_000}


@given(
    gaps=st.lists(st.integers(0, 200), min_size=1, max_size=60),
    limit=st.integers(1, 5),
    window=st.integers(1, 300),
)
def test_whoever_obeys_never_finds_more_than_the_limit_in_any_window(gaps: list[int], limit: int, window: int) -> None:
    budget = a_budget(limit=limit, rolling_minutes=window)
    at, sent = NOON, []
    for gap in gaps:
        at += timedelta(minutes=gap)
        found = ask(budget, at=at, sent=sent)
        if found is None:
            sent.append(a_contact(at))
        else:
            assert found.opens_at > at
            assert ask(budget, at=found.opens_at, sent=sent) is None
            assert ask(budget, at=found.opens_at - timedelta(microseconds=1), sent=sent) is not None
    times = [each.at for each in sent]
    length = timedelta(minutes=window)
    assert all(sum(start <= at < start + length for at in times) <= limit for start in times)


@given(
    at=st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31)).map(lambda at: at.replace(tzinfo=UTC)),  # noqa: DTZ001
    zone=st.sampled_from(["America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Beirut"]),
    unit=st.sampled_from(CalendarUnit),
)
def test_every_moment_lies_in_exactly_one_unit_and_the_next_begins_where_it_ends(
    at: datetime, zone: str, unit: CalendarUnit
) -> None:
    start, end = unit.bounds(at, ZoneInfo(zone))
    assert start <= at < end
    assert end - start <= unit.longest
    assert unit.bounds(end, ZoneInfo(zone))[0] == end
    assert unit.bounds(end - timedelta(microseconds=1), ZoneInfo(zone)) == (start, end)


def test_an_hour_of_a_zone_with_half_hours_begins_on_its_own_clock() -> None:
    start, _ = CalendarUnit.HOUR.bounds(datetime(2026, 7, 1, 12, 10, tzinfo=UTC), LORD_HOWE)
    assert start.astimezone(LORD_HOWE).minute == 0


def test_a_message_over_the_cap_waits_and_one_that_would_expire_is_not_sent() -> None:
    budget = a_budget(limit=1, rolling_minutes=30)
    situation = a_situation(allowances={"budget": budget, "spent": Spent(tuple(minutes(10)))})
    request = a_request()
    screened = screen(request, situation)
    assert {each.reason for each in screened.refusals} == {Reason.BUDGET_RECIPIENT}
    assert {each.rule for each in screened.refusals} == {"rule"}
    draft = a_decision(request, situation)
    assert (draft.outcome, draft.reason) == (Outcome.DEFER, Reason.BUDGET_RECIPIENT)
    assert draft.send_at == NOON + timedelta(minutes=20)
    hasty = a_request(message={"expires_at": (NOON + timedelta(minutes=19)).isoformat()})
    late = a_decision(hasty, situation)
    assert (late.outcome, late.reason) == (Outcome.SUPPRESS, Reason.EXPIRY_BEFORE_OPENING)


def test_a_full_channel_leaves_the_others() -> None:
    budget = a_budget(per="tenant", rolling_minutes=None, calendar="minute", limit=5, scope={"channel": "email"})
    situation = a_situation(allowances={"budget": budget, "spent": Spent((), {"rule": 5})}, definition=a_type())
    screened = screen(a_request(), situation)
    assert screened.permitted == (Channel.PUSH,)
    assert [each.reason for each in screened.refusals] == [Reason.BUDGET_CAPACITY]


def test_a_message_for_a_full_channel_waits_for_the_next_window_of_its_capacity() -> None:
    budget = a_budget(per="tenant", rolling_minutes=None, calendar="hour", limit=5)
    situation = a_situation(allowances={"budget": budget, "spent": Spent((), {"rule": 5}, NOON)})
    draft = a_decision(situation=situation)
    assert (draft.outcome, draft.reason, draft.send_at) == (
        Outcome.DEFER, Reason.BUDGET_CAPACITY, NOON + timedelta(hours=1)
    )  # fmt: skip
    never = a_budget(per="tenant", rolling_minutes=None, calendar="hour", limit=0)
    situation = a_situation(allowances={"budget": never, "spent": Spent((), {}, NOON)})
    assert a_decision(situation=situation).outcome is Outcome.SUPPRESS


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rolling_minutes": None}, "exactly one of rolling_minutes and calendar"),
        ({"calendar": "day"}, "exactly one of rolling_minutes and calendar"),
        ({"per": "tenant"}, "needs a calendar window"),
        ({"limit": -1}, "limit"),
        ({"rolling_minutes": 90 * 24 * 60 + 1}, "rolling_minutes"),
        ({"scope": {"colour": "red"}}, "colour"),
    ],
)
def test_a_rule_that_says_nothing_clear_is_refused(fields: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        a_budget(**fields)


def test_two_rules_of_one_name_are_refused() -> None:
    rule = BudgetRule(id="twice", limit=1, rolling_minutes=1, scope=Scope())
    with pytest.raises(ValidationError, match="twice is there twice"):
        ContactBudget(rules=(rule, rule))
