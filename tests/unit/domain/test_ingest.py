"""Items, verdicts and local time: what becomes of whatever somebody sends."""

import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain.events import MAX_EVENT_BYTES, EngagementEvent
from domain.ingest import Batch, Counts, Item, RejectionCode, Verdict, local_time, parse, read, timely, zone

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def an_event(**changes):
    event = {
        "source": "shop",
        "event_id": "e-1",
        "type": "purchase",
        "recipient_id": "r-1",
        "occurred_at": "2026-03-01T12:00:00Z",
    }
    return {name: value for name, value in (event | changes).items() if value is not ...}


def items(*events):
    return [parse(event, position) for position, event in enumerate(events)]


def test_an_item_of_a_request_and_a_line_of_a_file_are_read_alike():
    event = an_event(value={"minor": 1250, "currency": "USD"}, properties={"category": "GROCERY"})
    assert parse(event, 0).event == read(json.dumps(event).encode(), 7).event == EngagementEvent.model_validate(event)


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"source": ...}, RejectionCode.FIELD_MISSING, "source"),
        ({"tenant_id": "other"}, RejectionCode.FIELD_UNKNOWN, "tenant_id"),
        ({"type": "bought"}, RejectionCode.FIELD_INVALID, "type"),
        ({"type": "custom"}, RejectionCode.FIELD_INVALID, "name"),
        ({"type": "delivered"}, RejectionCode.FIELD_INVALID, "channel"),
        ({"value": {"minor": True, "currency": "USD"}}, RejectionCode.FIELD_INVALID, "value.minor"),
        ({"value": {"minor": 12.0, "currency": "USD"}}, RejectionCode.FIELD_INVALID, "value.minor"),
        ({"value": {"minor": "12", "currency": "USD"}}, RejectionCode.FIELD_INVALID, "value.minor"),
        ({"value": {"minor": 12, "currency": "usd"}}, RejectionCode.FIELD_INVALID, "value.currency"),
        ({"recipient_id": 5}, RejectionCode.FIELD_INVALID, "recipient_id"),
        ({"recipient_id": "r\u202e1"}, RejectionCode.FIELD_INVALID, "recipient_id"),
        ({"recipient_id": "r\u200b1"}, RejectionCode.FIELD_INVALID, "recipient_id"),
        ({"occurred_at": 1_700_000_000}, RejectionCode.FIELD_INVALID, "occurred_at"),
        ({"occurred_at": "1700000000"}, RejectionCode.FIELD_INVALID, "occurred_at"),
        ({"occurred_at": "2026-03-01T12:00:00"}, RejectionCode.FIELD_INVALID, "occurred_at"),
        ({"occurred_at": "2026-03-01"}, RejectionCode.FIELD_INVALID, "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, RejectionCode.FIELD_INVALID, "occurred_at"),
        ({"properties": {"category": 5}}, RejectionCode.FIELD_INVALID, "properties.category"),
        ({"properties": {"note": "x" * MAX_EVENT_BYTES}}, RejectionCode.TOO_LARGE, None),
    ],
)
def test_a_bad_item_is_rejected_by_field_and_keeps_its_bytes(changes, code, field):
    item = parse(an_event(**changes), 3)
    assert (item.position, item.event, item.rejection.code, item.rejection.field) == (3, None, code, field)
    assert json.loads(item.raw) == an_event(**changes)


@pytest.mark.parametrize("value", [None, 5, "text", [], True])
def test_only_an_object_can_be_an_event(value):
    assert parse(value, 0).rejection.code is RejectionCode.NOT_AN_OBJECT


def test_a_line_that_is_no_json_is_rejected_with_its_place_and_its_own_bytes():
    item = read(b'{"a":1,"a":2}', 4)
    assert (item.rejection.code, item.rejection.field, item.raw) == (RejectionCode.NOT_JSON, "/a", b'{"a":1,"a":2}')


def test_a_rejection_never_repeats_the_value():
    rejection = parse(an_event(recipient_id="secret\u200b", type="secret"), 0).rejection
    assert "secret" not in rejection.model_dump_json()


def test_the_offset_a_moment_was_written_with_does_not_make_it_another_event():
    there = parse(an_event(occurred_at="2026-03-01T07:00:00-05:00"), 0).event
    assert there.digest() == parse(an_event(), 0).event.digest()


@pytest.mark.parametrize(("age", "is_timely"), [(-5, True), (-6, False), (60 * 24, True), (60 * 24 + 1, False)])
def test_events_count_up_to_five_minutes_ahead_and_back_to_the_retention(age, is_timely):
    item = parse(an_event(occurred_at=(NOON - timedelta(minutes=age)).isoformat()), 0)
    kept = timely(item, now=NOON, max_age=timedelta(days=1))
    assert (kept.event is not None) == is_timely
    assert is_timely or kept.rejection.code is RejectionCode.UNTIMELY


def test_a_repeat_within_one_batch_is_a_duplicate_and_another_content_a_conflict():
    batch = Batch(items(an_event(), an_event(event_id="e-2"), an_event(), an_event(session_id="s")))
    verdicts = batch.judge(set(batch.firsts), {})
    assert [answer.verdict for answer in verdicts] == ["stored", "stored", "duplicate", "conflict"]


def test_what_was_stored_before_decides_which_of_two_contents_is_the_conflict():
    batch = Batch(items(an_event(session_id="new"), an_event()))
    stored_before = parse(an_event(), 0).event.digest()
    verdicts = batch.judge(set(), {("shop", "e-1"): stored_before})
    assert [answer.verdict for answer in verdicts] == ["conflict", "duplicate"]


def test_conflicts_and_rejections_are_dead_and_the_sum_is_what_was_received():
    batch = Batch(items(an_event(), an_event(), an_event(session_id="s"), {"no": "event"}))
    counts = Counts.of(batch.judge(set(batch.firsts), {}))
    assert counts == Counts(received=4, stored=1, duplicate=1, dead=2)
    assert counts.imbalance == 0
    assert (counts + counts).received == 8


def test_every_verdict_is_known_to_be_dead_or_alive():
    assert {verdict for verdict in Verdict if verdict.is_dead} == {Verdict.CONFLICT, Verdict.REJECTED}


@pytest.mark.parametrize(
    ("moment", "where", "hour", "day"),
    [
        ("2026-03-02T00:30:00Z", "UTC", 0, date(2026, 3, 2)),
        ("2026-03-01T23:59:59Z", "UTC", 167, date(2026, 3, 1)),
        ("2026-03-02T02:00:00Z", "America/New_York", 165, date(2026, 3, 1)),
        ("2026-03-08T06:59:59Z", "America/New_York", 145, date(2026, 3, 8)),
        ("2026-03-08T07:00:00Z", "America/New_York", 147, date(2026, 3, 8)),  # 02:00 does not exist that day
        ("2026-01-04T11:00:00Z", "Pacific/Kiritimati", 1, date(2026, 1, 5)),
    ],
)
def test_the_hour_of_the_week_and_the_date_are_those_where_the_recipient_is(moment, where, hour, day):
    assert local_time(datetime.fromisoformat(moment), ZoneInfo(where)) == (hour, day)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "", "America", "US/" + "x" * 300])
def test_a_name_that_is_no_time_zone_is_none(name):
    assert zone(name) is None


def test_a_rejected_item_can_be_made_without_an_event():
    item = Item.rejected(3, b"x", RejectionCode.UNMAPPED, "time", "a time")
    assert (item.event, item.rejection.code) == (None, "event.unmapped")
