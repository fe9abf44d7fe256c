"""Every claim about events, broken once: Great Expectations finds the row, and says which rule it broke."""

from datetime import UTC, date, datetime

import pandas as pd
import pytest

from adapters.expectations import Claim, Rule, judge
from adapters.lake import Lake
from assets.steps import event_contract, event_days
from domain.events import EventType
from tests.feature_events import a_purchase, a_send, an_event, events

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(tmp_path / "lake")


def good(**more: object) -> list[dict[str, object]]:
    return [a_purchase(NOON, **more), a_send(NOON), an_event(EventType.LOGIN, NOON)]


def keep(lake: Lake, rows: list[dict[str, object]], day: date = MONDAY) -> dict[date, int]:
    lake.write(event_days.TABLE, event_days.table_of(events(*rows)), day=day)
    return {day: len(rows)}


def broken(lake: Lake, rows: list[dict[str, object]]) -> dict[str, list[tuple[str, str]]]:
    """Return the failing claims, with event id and column of each row shown."""
    found = event_contract.examine(lake, [MONDAY], keep(lake, rows))
    return {one.claim: [(row.event_id, row.column) for row in one.examples] for one in found if not one.passed}


def test_good_events_keep_every_claim(lake):
    assert broken(lake, good()) == {}


def test_a_day_without_events_keeps_every_claim(lake):
    assert broken(lake, []) == {}


@pytest.mark.parametrize(
    ("wrong", "claim", "columns"),
    [
        ({"recipient_id": None}, "event_keys_are_present", ["recipient_id"]),
        ({"received_at": None}, "event_keys_are_present", ["received_at"]),
        ({"type": "bought"}, "event_types_are_known", ["type"]),
        ({"type": "custom"}, "event_types_are_known", ["name"]),
        ({"occurred_at": NOON.replace(day=3, hour=0)}, "events_fall_in_their_day", ["occurred_day, lake_day"]),
        ({"occurred_at": NOON.replace(day=1, hour=23)}, "events_fall_in_their_day", ["occurred_day, lake_day"]),
        ({"channel": "pigeon"}, "channels_are_known", ["channel"]),
        ({"type": "delivered"}, "channels_are_known", ["channel"]),
        ({"currency": None}, "values_have_a_currency", ["currency"]),
        ({"value_minor": None}, "values_have_a_currency", ["value_minor"]),
        ({"currency": "usd"}, "values_have_a_currency", ["currency"]),
        ({"local_hour_of_week": 168}, "local_hours_are_in_the_week", ["local_hour_of_week"]),
        ({"local_hour_of_week": -1}, "local_hours_are_in_the_week", ["local_hour_of_week"]),
        ({"local_hour_of_week": None}, "local_hours_are_in_the_week", ["local_hour_of_week"]),
    ],
)
def test_a_row_that_breaks_a_claim_is_found_and_named(lake, wrong, claim, columns):
    found = broken(lake, [a_purchase(NOON, event_id="the-one", **wrong), a_send(NOON)])
    assert found == {claim: [("the-one", column) for column in columns]}


def test_two_events_with_one_key_break_the_first_claim(lake):
    twice = [a_purchase(NOON, event_id="twice"), a_send(NOON, event_id="twice"), a_send(NOON, event_id="once")]
    assert broken(lake, twice) == {"event_ids_are_unique": [("twice", "tenant, source, event_id")] * 2}
    other = [a_purchase(NOON, event_id="e"), a_purchase(NOON, event_id="e", source="crm")]
    assert broken(lake, [*other, a_purchase(NOON, event_id="e", tenant="t2")]) == {}


def test_a_broken_claim_quarantines_its_own_day_and_a_later_good_one_releases_it(lake):
    counts = keep(lake, [a_purchase(NOON, currency=None)]) | keep(lake, [a_purchase(NOON.replace(day=3))], TUESDAY)
    event_contract.examine(lake, [MONDAY, TUESDAY], counts)
    assert lake.quarantined(event_days.TABLE) == {MONDAY: ("values_have_a_currency",)}
    event_contract.examine(lake, [MONDAY], keep(lake, good()))
    assert lake.quarantined(event_days.TABLE) == {}


def test_days_are_judged_in_batches_with_the_same_findings(lake, monkeypatch):
    days = {}
    for day in range(2, 8):
        rows = [a_purchase(NOON.replace(day=day)) for _ in range(3)]
        days |= keep(lake, [*rows, a_purchase(NOON.replace(day=day), currency=None)], date(2026, 3, day))
    whole = event_contract.examine(lake, sorted(days), days)
    monkeypatch.setattr(event_contract, "ROWS_AT_ONCE", 9)
    assert event_contract.examine(lake, sorted(days), days) == whole
    assert {one.claim: (one.evaluated, one.broken) for one in whole if not one.passed} == {
        "values_have_a_currency": (24, 6)
    }


def test_a_rule_that_cannot_be_judged_counts_as_broken():
    claim = Claim(
        "numbers_are_small", "Small.", (Rule("ExpectColumnValuesToBeBetween", {"column": "n", "max_value": 3}),)
    )
    [verdict] = judge(pd.DataFrame({"n": [1, "two", 3]}), [claim])
    assert not verdict.passed
    [verdict] = judge(pd.DataFrame({"m": [1]}), [claim])
    assert not verdict.passed
    assert verdict.breaches[0].problem is not None


def test_judging_prints_nothing(lake, capfd):
    broken(lake, good())
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
