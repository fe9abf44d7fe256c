"""Mappings: how a row becomes an event, what an empty cell means, and what a stamp without an offset means."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from domain.cell_values import Unmapped
from domain.event_mapping import EventMapping, NeedsZone, identity
from domain.ingest import read
from domain.naive_times import Choice, NoSuchMoment, moment

FIELDS = {
    "source": {"constant": "tills"},
    "event_id": {"template": "sale-{store}-{ticket}"},
    "type": {"constant": "purchase"},
    "recipient_id": "customer",
    "occurred_at": {"column": "sold_at", "format": "%Y-%m-%d %H:%M"},
    "value.minor": {"column": "amount", "times": 100},
    "value.currency": {"constant": "USD"},
    "properties.category": "dept",
}
ROW = {"store": "7", "ticket": 12, "customer": 5.0, "sold_at": "2026-03-01 09:30", "amount": "12.345", "dept": "MEAT"}


def a_mapping(time_zone="America/New_York", **fields):
    changed = {name.replace("__", "."): spec for name, spec in fields.items()}
    given = {name: spec for name, spec in (FIELDS | changed).items() if spec is not None}
    return EventMapping(fields=given, time_zone=time_zone)


def test_a_row_becomes_the_event_the_mapping_describes():
    assert a_mapping().apply(ROW) == {
        "source": "tills",
        "event_id": "sale-7-12",
        "type": "purchase",
        "recipient_id": "5",
        "occurred_at": "2026-03-01T14:30:00+00:00",
        "value": {"minor": 1234, "currency": "USD"},
        "properties": {"category": "MEAT"},
    }
    assert read(json.dumps(a_mapping().apply(ROW)).encode(), 1).event is not None


@pytest.mark.parametrize("empty", ["", None, float("nan")])
def test_an_empty_cell_leaves_its_field_out_and_an_empty_amount_its_currency_too(empty):
    event = a_mapping().apply(ROW | {"dept": empty, "amount": empty})
    assert "properties" not in event
    assert "value" not in event


def test_an_id_made_of_an_empty_cell_is_no_id():
    assert "event_id" not in a_mapping().apply(ROW | {"ticket": ""})


@pytest.mark.parametrize(("rule", "cents"), [("half_even", 1234), ("half_up", 1235), ("down", 1234)])
def test_an_amount_is_scaled_exactly_and_rounded_by_the_rule(rule, cents):
    mapping = a_mapping(value__minor={"column": "amount", "times": 100, "round": rule})
    assert mapping.apply(ROW)["value"]["minor"] == cents
    assert mapping.apply(ROW | {"amount": 0.29})["value"]["minor"] == 29
    assert mapping.apply(ROW | {"amount": Decimal("-1.10")})["value"]["minor"] == -110


def test_an_amount_that_must_be_whole_is_refused_otherwise():
    mapping = a_mapping(value__minor={"column": "amount", "times": 100, "round": "reject"})
    with pytest.raises(Unmapped, match=r"value\.minor: expected a whole number after multiplying by 100"):
        mapping.apply(ROW)


@pytest.mark.parametrize("amount", ["x", "1,5", "NaN", "Infinity", "1e999999999", "9" * 5_000, True])
def test_an_amount_that_is_no_number_is_refused_without_being_repeated(amount):
    with pytest.raises(Unmapped, match=r"expected a number$"):
        a_mapping().apply(ROW | {"amount": amount})


@pytest.mark.parametrize(
    ("spec", "cell", "value"),
    [
        ({"column": "x", "type": "integer"}, "3.0", 3),
        ({"column": "x", "type": "number"}, "2.5", 2.5),
        ({"column": "x", "type": "boolean"}, "Yes", True),
        ({"column": "x", "type": "json"}, '{"a":1}', {"a": 1}),
        ({"column": "x", "type": "text"}, 4.0, "4"),
        ({"column": "x", "values": {"E": "email", "1": "sms"}}, 1, "sms"),
        ("x", [1, 2], [1, 2]),
        ("x.y", 7, None),
        ({"constant": [1]}, "ignored", [1]),
    ],
)
def test_a_property_is_read_as_its_specification_says(spec, cell, value):
    event = a_mapping(properties__p=spec).apply(ROW | {"x": cell})
    assert event["properties"].get("p") == value


@pytest.mark.parametrize(
    ("spec", "cell", "expected"),
    [
        ({"column": "x", "type": "integer"}, "3.5", "a whole number"),
        ({"column": "x", "type": "boolean"}, "maybe", "true or false"),
        ({"column": "x", "type": "json"}, "{", "JSON text"),
        ({"column": "x", "values": {"E": "email"}}, "Q", "one of the values listed for column x"),
        ("x", b"\x00", "not bytes"),
    ],
)
def test_a_cell_that_cannot_be_read_is_refused_by_field(spec, cell, expected):
    with pytest.raises(Unmapped, match=expected) as caught:
        a_mapping(properties__p=spec).apply(ROW | {"x": cell})
    assert caught.value.field == "properties.p"


def test_a_name_with_dots_reaches_into_an_object():
    assert a_mapping(recipient_id="who.id").apply(ROW | {"who": {"id": "r-1"}})["recipient_id"] == "r-1"


@pytest.mark.parametrize(
    ("form", "cell", "expected"),
    [
        (None, "2026-03-01T09:30:00+01:00", "2026-03-01T09:30:00.000000+01:00"),
        (None, "2026-03-01T09:30:00", "2026-03-01T14:30:00+00:00"),
        ("unix_seconds", 1_772_375_400, "2026-03-01T14:30:00.000000+00:00"),
        ("unix_milliseconds", "1772375400500", "2026-03-01T14:30:00.500000+00:00"),
        ("%d.%m.%Y %H:%M %z", "01.03.2026 09:30 +0000", "2026-03-01T09:30:00.000000+00:00"),
        (None, datetime(2026, 3, 1, 9, 30), "2026-03-01T14:30:00+00:00"),  # noqa: DTZ001
    ],
)
def test_a_stamp_is_read_by_its_format_and_only_without_an_offset_in_the_declared_zone(form, cell, expected):
    spec = {"column": "t", "format": form}
    assert a_mapping(occurred_at=spec).apply(ROW | {"t": cell})["occurred_at"] == expected


@pytest.mark.parametrize("cell", ["1.3.2026", "2026-13-01 00:00", "", "x"])
def test_a_stamp_that_cannot_be_read_is_refused(cell):
    if cell:
        with pytest.raises(Unmapped, match="occurred_at: expected a time of the form"):
            a_mapping().apply(ROW | {"sold_at": cell})
    else:
        assert "occurred_at" not in a_mapping().apply(ROW | {"sold_at": cell})


def test_a_stamp_without_an_offset_and_without_a_declared_zone_says_so():
    with pytest.raises(NeedsZone, match="say where they were written with time_zone"):
        a_mapping(time_zone=None).apply(ROW)


@pytest.mark.parametrize(
    ("stamp", "choice", "hour"),
    [
        ("2026-11-01 01:30", Choice.EARLIER, 5),
        ("2026-11-01 01:30", Choice.LATER, 6),
        ("2026-03-08 02:30", Choice.EARLIER, 6),
        ("2026-03-08 02:30", Choice.LATER, 7),
        ("2026-03-08 01:59", Choice.REJECT, 6),
        ("2026-03-08 03:00", Choice.REJECT, 7),
    ],
)
def test_when_clocks_change_the_rule_says_which_moment_is_meant(stamp, choice, hour):
    naive, zone = datetime.fromisoformat(stamp), ZoneInfo("America/New_York")
    meant = moment(naive, zone, ambiguous=choice, skipped=choice)
    assert (meant.tzinfo, meant.hour) == (UTC, hour)


@pytest.mark.parametrize(
    ("stamp", "why"), [("2026-11-01 01:30", "comes twice"), ("2026-03-08 02:30", "does not exist")]
)
def test_without_a_rule_a_stamp_that_is_not_one_moment_is_refused(stamp, why):
    with pytest.raises(NoSuchMoment, match=why):
        moment(
            datetime.fromisoformat(stamp), ZoneInfo("America/New_York"), ambiguous=Choice.REJECT, skipped=Choice.REJECT
        )
    with pytest.raises(Unmapped, match=why):
        a_mapping().apply(ROW | {"sold_at": stamp})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"recipient_id": None}, "fields: recipient_id is missing"),
        ({"recipient": "x"}, r"fields.recipient: not a field of an event"),
        ({"context__divice": "x"}, r"fields.context.divice: not a field of an event"),
        ({"properties__a": {"column": "x", "format": "%Y"}}, "format is for occurred_at only"),
        ({"properties__a": {"column": "x", "times": 2, "type": "text"}}, "cannot be combined"),
        ({"properties__a": {"colunm": "x"}}, "colunm"),
        ({"properties__a": {"template": "no columns"}}, "pattern"),
        ({"value__minor": {"column": "x", "times": 0}}, "greater than or equal to 1E-9"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_by_key(fields, message):
    with pytest.raises(ValidationError, match=message):
        a_mapping(**fields)


def test_columns_named_like_the_contract_need_no_mapping():
    columns = ["event_id", "type", "recipient_id", "occurred_at", "value.minor", "value.currency", "properties.a"]
    cells = ["1", "login", "r", "2026-03-01T00:00:00Z", "12", "USD", "x"]
    event = identity(columns, source="crm").apply(dict(zip(columns, cells, strict=True)))
    assert event["source"] == "crm"
    assert event["value"] == {"minor": 12, "currency": "USD"}
    with pytest.raises(ValidationError, match="not a field of an event"):
        identity([*columns, "price"], source="crm")
