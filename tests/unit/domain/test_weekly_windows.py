"""Windows of the week: their edges, over midnight, and on days on which the clock is changed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.weekly_windows import QUARTER, Weekday, Window, covers, next_opening

NEW_YORK = ZoneInfo("America/New_York")
MORNINGS = {Weekday.MONDAY: (Window(start="09:00", end="10:15"),)}
LATE = {Weekday.FRIDAY: (Window(start="22:00", end="02:00"),)}


def new_york(*at: int) -> datetime:
    return datetime(*at, tzinfo=NEW_YORK).astimezone(UTC)


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ((2026, 3, 2, 8, 59), False),
        ((2026, 3, 2, 9, 0), True),
        ((2026, 3, 2, 10, 14), True),
        ((2026, 3, 2, 10, 15), False),
    ],
)
def test_the_start_is_open_and_the_end_is_not(at, is_open):
    assert covers(MORNINGS, now=new_york(*at), zone=NEW_YORK) is is_open


def test_a_window_over_midnight_belongs_to_the_day_it_starts_on():
    assert covers(LATE, now=new_york(2026, 3, 6, 23), zone=NEW_YORK)
    assert covers(LATE, now=new_york(2026, 3, 7, 1, 59), zone=NEW_YORK)
    assert not covers(LATE, now=new_york(2026, 3, 7, 23), zone=NEW_YORK)
    assert not covers(LATE, now=new_york(2026, 3, 6, 1), zone=NEW_YORK)


def test_the_next_opening_is_the_next_week_when_this_ones_has_closed():
    opens_at = next_opening(MORNINGS, now=new_york(2026, 3, 2, 10, 15), zone=NEW_YORK)
    assert opens_at == new_york(2026, 3, 9, 9)


def test_a_window_that_the_clock_jumps_into_opens_with_the_jump():
    jump = {Weekday.SUNDAY: (Window(start="02:30", end="04:00"),)}
    assert next_opening(jump, now=new_york(2026, 3, 8, 1), zone=NEW_YORK) == datetime(2026, 3, 8, 7, tzinfo=UTC)


def test_an_hour_that_comes_twice_is_open_twice():
    twice = {Weekday.SUNDAY: (Window(start="01:00", end="01:30"),)}
    first, second = (datetime(2026, 11, 1, hour, 15, tzinfo=UTC) for hour in (5, 6))
    assert covers(twice, now=first, zone=NEW_YORK)
    assert covers(twice, now=second, zone=NEW_YORK)
    assert next_opening(twice, now=first + timedelta(minutes=20), zone=NEW_YORK) == second - QUARTER


def test_no_window_never_opens():
    assert next_opening({}, now=new_york(2026, 3, 2, 9), zone=NEW_YORK) is None


@pytest.mark.parametrize("given", [{"start": "09:10", "end": "10:00"}, {"start": "9:00", "end": "10:00"}])
def test_windows_stand_on_quarter_hours(given):
    with pytest.raises(ValidationError):
        Window.model_validate(given)


@pytest.mark.parametrize("start", ["10:00", "24:00"])
def test_a_window_is_some_time(start):
    with pytest.raises(ValidationError, match="start must"):
        Window(start=start, end="10:00")


START = datetime(2026, 1, 1, tzinfo=UTC)
ZONES = [
    "America/New_York",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Pacific/Chatham",
]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes)),
    st.sampled_from(list(Weekday)),
    st.integers(0, 95),
    st.integers(1, 95),
)
def test_the_next_opening_is_open_and_nothing_before_it_is(zone, now, day, start, length):
    wall = [f"{n // 4:02}:{n % 4 * 15:02}" for n in (start, (start + length) % 96)]
    windows = {day: (Window(start=wall[0], end=wall[1]),)}
    opens_at = next_opening(windows, now=now, zone=ZoneInfo(zone))
    assert opens_at is not None
    assert covers(windows, now=opens_at, zone=ZoneInfo(zone))
    before = now
    while before < opens_at:
        assert not covers(windows, now=before, zone=ZoneInfo(zone))
        before += QUARTER
