"""What of a day is reported, of whom nothing is, and what is said where too little is known."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from adapters.lake import Lake, Quarantined
from adapters.postgres.learning_facts import Facts
from assets.steps import anomalies, event_days
from assets.steps.anomalies import HOUR, RECIPIENT, Report
from domain.consent import ConsentState
from domain.events import EVENT_COLUMNS

DAY = date(2026, 3, 4)
START = datetime(2026, 3, 4, tzinfo=UTC)
"""A Wednesday."""
NOWS = {"t": START + timedelta(days=1, hours=2)}
PEOPLE = 20
WEEKS = 5


def said(purpose: str, status: str = "given") -> ConsentState:
    return ConsentState(purpose=purpose, channel="*", status=status, effective_at=START - timedelta(days=300))


def facts(*without: str) -> Facts:
    given = {("t", f"r{place}"): (said("personalization"),) for place in range(PEOPLE)}
    return Facts({who: states for who, states in given.items() if who[1] not in without}, {})


def event(who: str, at: datetime, kind: str = "page_viewed") -> dict[str, object]:
    told = {"tenant": "t", "recipient_id": who, "type": kind, "occurred_at": at}
    return dict.fromkeys(EVENT_COLUMNS) | told


def ordinary(*, weeks: int = WEEKS, to: datetime = START + timedelta(days=1)) -> list[dict[str, object]]:
    """Return two events of everybody each day, at hours of their own, up to a moment."""
    days = [START + timedelta(days=1) - timedelta(days=back) for back in range(1, weeks * 7 + 14)]
    hours = [(place, (place, place + 3)) for place in range(PEOPLE)]
    moments = [(f"r{place}", day + timedelta(hours=hour)) for day in days for place, pair in hours for hour in pair]
    return [event(who, at) for who, at in moments if at < to]


def reported(folder: Path, events: list[dict[str, object]], known: Facts, **nows: datetime) -> Report:
    lake, frame = Lake(folder), pd.DataFrame(events)
    for day, part in frame.groupby(frame["occurred_at"].dt.date):
        lake.write(event_days.TABLE, event_days.table_of(part), day=day)
    [(report, written)] = anomalies.report_days(lake, [DAY], facts=known, nows=nows or NOWS).values()
    rows = lake.read(anomalies.TABLE, day=DAY).to_pylist()
    assert (written.rows, len(rows)) == (len(report.rows), len(report.rows))
    return report


def burst(who: str, count: int = 40, kind: str = "page_viewed") -> list[dict[str, object]]:
    return [event(who, START + timedelta(hours=2, seconds=place), kind) for place in range(count)]


def test_a_day_too_full_for_a_recipient_is_reported_beside_their_own(tmp_path):
    report = reported(tmp_path, [*ordinary(), *burst("r3")], facts())
    [row] = report.rows
    assert (row["what"], row["recipient_id"], row["events"]) == (RECIPIENT, "r3", 42)
    assert row["ordinary"] == pytest.approx(2.0, abs=0.05)
    assert row["chance"] < 1e-9
    assert (report.looked_at, report.silent, report.alarms) == (PEOPLE, {}, [])


def test_what_came_of_messages_is_no_activity_of_their_own(tmp_path):
    assert reported(tmp_path, [*ordinary(), *burst("r3", kind="opened")], facts()).rows == []


def test_who_does_not_allow_it_is_not_looked_at_and_counts_in_the_hours_of_all(tmp_path):
    report = reported(tmp_path, [*ordinary(), *burst("r3")], facts("r3"))
    assert (report.rows, report.looked_at) == ([], PEOPLE - 1)
    assert report.events[2] == 40 + 1


def test_who_ended_analytics_is_not_looked_at(tmp_path):
    known = facts()
    ended = {("t", "r3"): (said("personalization"), said("analytics", "withdrawn"))}
    known = Facts({**known.histories, **ended}, {})
    assert reported(tmp_path, [*ordinary(), *burst("r3")], known).count(RECIPIENT) == 0


def test_a_tenant_that_falls_silent_is_reported_at_the_hour_that_tells_it(tmp_path):
    report = reported(tmp_path, ordinary(to=START + timedelta(hours=4)), facts())
    first = report.rows[0]
    assert (first["what"], first["recipient_id"], first["events"]) == (HOUR, None, 0)
    assert START + timedelta(hours=4) < first["at"] < START + timedelta(hours=20)
    assert first["deviation"] < -1
    assert report.alarms[0][:2] == ("t", f"{first['at']:%Y-%m-%dT%H:%MZ}")


def test_three_weeks_say_nothing_of_hours_and_enough_of_recipients(tmp_path):
    report = reported(tmp_path, [*ordinary(weeks=3), *burst("r3")], facts())
    assert report.silent == {"t: hour": "not enough data: 3 whole weeks; at least 4 are needed"}
    assert report.count(RECIPIENT) == 1
    assert report.events.sum() == 0


def test_a_tenant_of_yesterday_says_what_it_lacks(tmp_path):
    events = [each for each in ordinary() if each["occurred_at"] >= START - timedelta(days=1)]
    report = reported(tmp_path, [*events, *burst("r3")], facts())
    assert report.rows == []
    assert report.silent["t: recipient"] == "not enough data: 1 days before it; at least 7 are needed"
    assert "0 whole weeks" in report.silent["t: hour"]


def test_where_nobody_allows_it_nobody_is_looked_at(tmp_path):
    report = reported(tmp_path, ordinary(), Facts({}, {}))
    assert report.silent == {"t: recipient": "not enough data: nobody who allows it was active before"}


def test_nothing_is_said_of_a_day_the_tenant_has_not_reached_or_of_a_tenant_without_events(tmp_path):
    late = reported(tmp_path / "late", [*ordinary(), *burst("r3")], facts(), t=START + timedelta(hours=23))
    assert (late.rows, late.silent, late.looked_at) == ([], {}, 0)
    other = reported(tmp_path / "other", ordinary(), facts(), u=START + timedelta(days=2))
    assert (other.rows, other.silent) == ([], {})


def test_a_day_made_alone_is_the_same_as_within_many(tmp_path):
    report = reported(tmp_path, [*ordinary(), *burst("r3")], facts())
    lake, alone = Lake(tmp_path), report.rows
    many = [DAY - timedelta(days=back) for back in (2, 1, 0)]
    made = anomalies.report_days(lake, many, facts=facts(), nows=NOWS)
    assert made[DAY][0].rows == alone
    assert made[DAY - timedelta(days=1)][0].rows == []


def test_days_that_broke_their_contract_are_not_read(tmp_path):
    lake = Lake(tmp_path)
    rows = event_days.table_of(pd.DataFrame(ordinary(weeks=1)[:1]))
    lake.quarantine(event_days.TABLE, DAY - timedelta(days=3), "claim", rows)
    with pytest.raises(Quarantined, match="2026-03-01"):
        anomalies.report_days(lake, [DAY], facts=facts(), nows=NOWS)


def test_the_picture_names_nobody_and_fits_into_the_event_log(tmp_path):
    report = reported(tmp_path, [*ordinary(), *burst("r3")], facts())
    assert report.picture.startswith(b"\x89PNG")
    assert len(report.picture) < 100_000
