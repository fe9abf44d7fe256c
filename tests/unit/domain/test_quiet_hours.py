"""Quiet hours: read off the recipient's own clock, on days of 23, 24 and 25 hours alike."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import quiet_hours, timing
from domain.quiet_hours import QuietHours
from domain.values import Reason
from tests.builders import a_request

NIGHT = QuietHours(start=21, end=8)
NEW_YORK = ZoneInfo("America/New_York")
MINUTE = timedelta(minutes=1)


def local(text: str, zone: str | ZoneInfo = NEW_YORK, fold: int = 0) -> datetime:
    where = ZoneInfo(zone) if isinstance(zone, str) else zone
    return datetime.fromisoformat(text).replace(tzinfo=where, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "is_quiet"),
    [
        ("2026-06-01T20:59:59.999999", False),
        ("2026-06-01T21:00:00", True),
        ("2026-06-02T00:00:00", True),
        ("2026-06-02T07:59:59.999999", True),
        ("2026-06-02T08:00:00", False),
    ],
)
def test_the_start_is_quiet_and_the_end_is_not(text, is_quiet):
    reason = quiet_hours.refusal(NIGHT, now=local(text), zone=NEW_YORK)
    assert reason is (Reason.QUIET_HOURS_NOW if is_quiet else None)


def test_the_next_opening_is_the_morning_that_follows_there():
    evening, night = local("2026-06-01T22:30"), local("2026-06-02T03:00")
    for now in (evening, night):
        assert quiet_hours.next_opening(NIGHT, now=now, zone=NEW_YORK) == local("2026-06-02T08:00")


def test_when_it_is_not_quiet_the_next_opening_is_now():
    noon = local("2026-06-01T12:00")
    assert quiet_hours.next_opening(NIGHT, now=noon, zone=NEW_YORK) == noon


def test_the_night_of_the_change_is_an_hour_shorter_or_longer():
    spring = quiet_hours.next_opening(NIGHT, now=local("2026-03-07T22:00"), zone=NEW_YORK)
    autumn = quiet_hours.next_opening(NIGHT, now=local("2026-10-31T22:00"), zone=NEW_YORK)
    assert spring - local("2026-03-07T22:00") == timedelta(hours=9)
    assert autumn - local("2026-10-31T22:00") == timedelta(hours=11)


def test_an_opening_inside_a_gap_is_the_moment_the_clock_jumps():
    until_two = QuietHours(start=21, end=2)
    opens = quiet_hours.next_opening(until_two, now=local("2026-03-08T01:30"), zone=NEW_YORK)
    assert opens == local("2026-03-08T03:00")


def test_a_day_without_the_only_open_hour_has_no_opening():
    but_at_midnight = QuietHours(start=1, end=0)
    before = local("2018-11-03T23:59", "America/Sao_Paulo")
    opens = quiet_hours.next_opening(but_at_midnight, now=before, zone=ZoneInfo("America/Sao_Paulo"))
    assert opens == local("2018-11-05T00:00", "America/Sao_Paulo")


def test_equal_start_and_end_mean_that_nothing_is_quiet():
    assert not any(QuietHours(start=8, end=8).covers(hour) for hour in range(24))
    assert quiet_hours.next_closing(QuietHours(start=8, end=8), now=local("2026-06-01T12:00"), zone=NEW_YORK) is None


CHANGES = [
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("Europe/London", "2026-03-29T01:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30"),
    ("America/Havana", "2026-11-01T05:00"),
    ("America/Asuncion", "2023-03-26T03:00"),
    ("America/Sao_Paulo", "2018-11-04T03:00"),
    ("Pacific/Apia", "2011-12-30T10:00"),
    ("Asia/Kathmandu", "2026-01-01T00:00"),
]


@given(
    st.sampled_from(CHANGES),
    st.integers(min_value=-26 * 60, max_value=26 * 60),
    st.integers(0, 23),
    st.integers(0, 23),
)
def test_around_every_change_of_clocks_the_opening_is_the_first_minute_that_is_not_quiet(change, minutes, start, end):
    zone, hours = ZoneInfo(change[0]), QuietHours(start=start, end=end)
    now = datetime.fromisoformat(change[1]).replace(tzinfo=UTC) + minutes * MINUTE
    opens = quiet_hours.next_opening(hours, now=now, zone=zone)
    assert quiet_hours.refusal(hours, now=opens, zone=zone) is None
    step = now
    while step < opens:
        assert quiet_hours.refusal(hours, now=step, zone=zone) is Reason.QUIET_HOURS_NOW
        step += MINUTE


def test_a_message_expires_at_its_last_moment():
    at = local("2026-06-01T12:00")
    assert timing.refusal(at, now=at) is Reason.EXPIRY_PASSED
    assert timing.refusal(at + timedelta(microseconds=1), now=at) is None
    assert timing.refusal(None, now=at) is None


def test_a_deferral_must_open_before_the_expiry():
    opens = local("2026-06-02T08:00")
    expiring = a_request(message={"expires_at": opens.isoformat()})
    assert timing.deferral_refusal(expiring, opens_at=opens) is Reason.EXPIRY_BEFORE_OPENING
    assert timing.deferral_refusal(expiring, opens_at=opens - MINUTE) is None
