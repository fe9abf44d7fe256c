"""No marketing message leaves in quiet hours: in no time zone, on no day a clock changes from 2026 to 2028."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain.expected import Activity
from domain.legal.places import place_of
from domain.quiet_hours import QuietHours
from domain.tenants import zone_names
from domain.values import Outcome
from tests.builders import a_decision, a_request, a_situation, an_expectation
from tests.thorough import examples

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
FIRST, LAST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
QUIET = (QuietHours(), QuietHours(start=0, end=3), QuietHours(start=23, end=2), QuietHours(start=2, end=1))
AROUND = [
    *(timedelta(hours=hours) for hours in range(-27, 28, 6)),
    *(timedelta(minutes=minutes) for minutes in (-61, -31, -1, 0, 1, 29, 59)),
]
EVEN = Activity(source="test", log_rates=(0.0,) * 168)


def transitions(zone):
    """Return the moments from 2026 to 2028 at which the zone's clock changes, to the minute."""
    found, day = [], FIRST
    while day < LAST:
        if offset(day, zone) != offset(day + DAY, zone):
            low, high = day, day + DAY
            while high - low > MINUTE:
                middle = low + (high - low) / 2
                low, high = (middle, high) if offset(middle, zone) == offset(low, zone) else (low, middle)
            found.append(high.replace(second=0, microsecond=0))
        day += DAY
    return found


def offset(at, zone):
    return at.astimezone(zone).utcoffset()


def behaviours():
    """Return one zone for each way clocks run in these years, with the moments that need a look."""
    known = {}
    for name in sorted(zone_names()):
        zone = ZoneInfo(name)
        changes = transitions(zone)
        key = (tuple(changes), tuple(offset(at, zone) for at in (FIRST, *changes)))
        known.setdefault(key, (name, changes or [FIRST + 60 * DAY]))
    return list(known.values())


BEHAVIOURS = behaviours()


def is_quiet(at, zone, hours):
    hour = at.astimezone(zone).hour
    return hours.start <= hour < hours.end if hours.start < hours.end else hour >= hours.start or hour < hours.end


# A patient message looks at a whole day of hours: once is enough, and costs as much as all the others.
CASES = [*((hours, None) for hours in QUIET), (QUIET[0], "within_day")]


@pytest.mark.parametrize(("hours", "urgency"), CASES, ids=lambda each: str(each).replace(" ", ","))
def test_nothing_leaves_in_quiet_hours_and_nothing_waits_longer_than_it_must(hours, urgency):
    request, told = a_request(message={"urgency": urgency}), an_expectation(None, activity=EVEN)
    outside, late, decided = [], [], 0
    # Every zone under the hours that hold unless told otherwise; under others a part will do, all of them at night.
    step = 1 if hours == QUIET[0] and urgency is None else examples(1, 3)
    for name, changes in BEHAVIOURS[::step]:
        zone = ZoneInfo(name)
        place = place_of(None, name, zone)
        for change in changes:
            for number, shift in enumerate(AROUND):
                now = change + shift
                situation = a_situation(now=now, quiet=hours, place=place, tenant_zone=zone)
                draft = a_decision(request, situation, told, decision_id=f"{name}/{change}/{number}")
                leaves = draft.send_at or now
                decided += 1
                assert draft.outcome in {Outcome.SEND_NOW, Outcome.DEFER, Outcome.SUPPRESS}
                if draft.outcome is Outcome.SUPPRESS:
                    continue
                if is_quiet(leaves, zone, hours):
                    outside.append((name, now, leaves))
                if urgency is None and leaves > now and not is_quiet(leaves - MINUTE, zone, hours):
                    late.append((name, now, leaves))
    assert decided > 1_000 / step
    assert outside == []
    assert late == []
