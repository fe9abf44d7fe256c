"""Files of events: JSON lines, CSV and Parquet give the same items, and a bad row costs only itself."""

import json
from datetime import datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.event_files import UnreadableFile, estimated_rows, items
from domain.event_mapping import EventMapping
from domain.ingest import RejectionCode


def an_event(number):
    return {
        "source": "shop",
        "event_id": f"e-{number}",
        "type": "purchase",
        "recipient_id": "r",
        "occurred_at": "2026-03-02T03:00:00Z",
    }


MAPPING = EventMapping(
    fields={
        "source": {"constant": "tills"},
        "event_id": {"template": "t-{id}"},
        "type": {"constant": "purchase"},
        "recipient_id": "who",
        "occurred_at": "at",
        "value.minor": {"column": "amount", "times": 100},
        "value.currency": {"constant": "EUR"},
    },
    time_zone="Europe/Paris",
)
ROWS = [{"id": n, "who": f"r-{n}", "at": f"2026-03-02 0{n}:00:00", "amount": n + 0.5, "other": "x"} for n in (1, 2, 3)]


def verdicts(found):
    return [(item.position, item.rejection.code if item.rejection else "good") for item in found]


def test_lines_of_json_are_read_as_they_are_and_a_bad_one_costs_itself(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = [json.dumps(an_event(1)), '{"a":1,"a":2}', "", json.dumps(an_event(2)), "[]", json.dumps(an_event(3))]
    path.write_text("\n".join(lines))
    found = list(items(path, None))
    assert verdicts(found) == [
        (1, "good"),
        (2, RejectionCode.NOT_JSON),
        (4, "good"),
        (5, RejectionCode.NOT_AN_OBJECT),
        (6, "good"),
    ]
    assert found[1].raw == b'{"a":1,"a":2}'


def test_a_line_without_an_end_is_refused_and_the_next_is_read(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"x" * 3_000_000 + b"\n" + json.dumps(an_event(1)).encode())
    found = list(items(path, None))
    assert verdicts(found) == [(1, RejectionCode.TOO_LARGE), (2, "good")]
    assert len(found[0].raw) <= 1024 * 1024


def test_a_source_is_added_where_a_line_has_none(tmp_path):
    path = tmp_path / "a.jsonl"
    named = an_event(1)
    unnamed = {name: value for name, value in an_event(2).items() if name != "source"}
    path.write_text("\n".join(map(json.dumps, (named, unnamed))))
    assert [item.event.source for item in items(path, None, source="crm")] == ["shop", "crm"]


def as_jsonl(path):
    path.write_text("\n".join(map(json.dumps, ROWS)))


def as_csv(path):
    pd.DataFrame(ROWS).to_csv(path, index=False)


def as_parquet(path):
    frame = pd.DataFrame(ROWS)
    frame["at"] = pd.to_datetime(frame["at"])
    frame["amount"] = [Decimal(str(value)) for value in frame["amount"]]
    frame.to_parquet(path)


@pytest.mark.parametrize(("suffix", "write"), [(".jsonl", as_jsonl), (".csv", as_csv), (".parquet", as_parquet)])
def test_the_same_rows_give_the_same_events_in_every_format(tmp_path, suffix, write):
    path = tmp_path / f"rows{suffix}"
    write(path)
    found = [item.event for item in items(path, MAPPING)]
    assert [event.event_id for event in found] == ["t-1", "t-2", "t-3"]
    assert [event.value.minor for event in found] == [150, 250, 350]
    assert [event.occurred_at.hour for event in found] == [0, 1, 2]
    assert estimated_rows(path) in (2, 3, 4)


def test_a_bad_row_of_a_table_is_refused_with_its_own_bytes(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id,who,at,amount\n1,a,2026-03-02,1\n2,b,never,1\n3,c\n4,d,2026-03-02,1\n")
    found = list(items(path, MAPPING))
    assert verdicts(found) == [(2, "good"), (3, RejectionCode.UNMAPPED), (4, RejectionCode.UNMAPPED), (5, "good")]
    assert (found[1].rejection.field, found[1].raw) == ("occurred_at", b"2,b,never,1\n")


def test_a_row_that_maps_to_no_event_keeps_its_own_bytes_too(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id,who,at,amount\n1,a\u200bb,2026-03-02,1\n")
    [item] = items(path, MAPPING)
    assert (item.rejection.field, item.raw) == ("recipient_id", "1,a\u200bb,2026-03-02,1\n".encode())


def test_nested_parquet_with_the_contracts_names_needs_no_mapping(tmp_path):
    path = tmp_path / "rows.parquet"
    rows = [an_event(1) | {"occurred_at": datetime.fromisoformat("2026-03-02T03:00:00+00:00")}]
    pq.write_table(pa.Table.from_pylist(rows), path)
    [item] = items(path, None)
    assert item.event.event_id == "e-1"


@pytest.mark.parametrize(
    ("name", "content", "mapping", "told"),
    [
        ("a.txt", b"", None, "must end in one of"),
        ("a.csv", b"", MAPPING, "expected a line with the names of the columns"),
        ("a.csv", b"\xff\n", MAPPING, "expected a line with the names of the columns"),
        ("a.csv", b"id,id\n", MAPPING, "comes twice"),
        ("a.csv", b"id,who,at\n", MAPPING, "columns that are not there: amount (for value.minor)"),
        ("a.csv", b"id,who,at\n", None, "use --mapping"),
        ("a.parquet", b"no parquet", MAPPING, "not a Parquet file"),
        ("a.parquet", b"PAR1" * 4, MAPPING, "not a Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_at_all_says_why(tmp_path, name, content, mapping, told):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableFile) as caught:
        list(items(path, mapping))
    assert told in str(caught.value)


def test_a_missing_file_is_told_by_name(tmp_path):
    with pytest.raises(UnreadableFile, match=r"none\.csv: No such file"):
        list(items(tmp_path / "none.csv", MAPPING))


def test_stamps_without_an_offset_and_without_a_zone_stop_the_file_but_one_among_others_is_a_bad_row(tmp_path):
    mapping = MAPPING.model_copy(update={"time_zone": None})
    path = tmp_path / "rows.csv"
    path.write_text("id,who,at,amount\n1,a,2026-03-02T00:00,1\n")
    with pytest.raises(UnreadableFile, match=r"rows\.csv:2: occurred_at: the stamps have no offset"):
        list(items(path, mapping))
    path.write_text("id,who,at,amount\n1,a,2026-03-02T00:00Z,1\n2,a,2026-03-02T00:00,1\n")
    assert verdicts(items(path, mapping)) == [(2, "good"), (3, RejectionCode.UNMAPPED)]


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59", "0001-01-01T00:00:00"])
def test_a_stamp_at_the_end_of_time_costs_its_row_and_no_other(tmp_path, at):
    path = tmp_path / "rows.csv"
    path.write_text(f"id,who,at,amount\n1,a,2026-03-02T00:00,1\n2,a,{at},1\n3,a,2026-03-02T00:00,1\n")
    mapping = MAPPING.model_copy(update={"time_zone": "America/New_York" if at > "1" else "Asia/Tokyo"})
    assert [verdict for _, verdict in verdicts(items(path, mapping))] == ["good", RejectionCode.UNMAPPED, "good"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([10**15, 4 * 10**18, 10**15], pa.timestamp("us", "UTC")),
        pa.array([20_000, 2**31 - 1, 20_000], pa.date32()),
        pa.Array.from_buffers(
            pa.string(),
            3,
            [None, pa.py_buffer(b"\x00\0\0\0\x01\0\0\0\x03\0\0\0\x04\0\0\0"), pa.py_buffer(b"a\xff\xfeb")],
        ),
    ],
    ids=["moment", "date", "text"],
)
def test_a_value_of_parquet_that_nothing_can_stand_for_costs_its_row_and_no_other(tmp_path, column):
    pq.write_table(
        pa.table({"id": [1, 2, 3], "who": ["a"] * 3, "at": ["2026-03-02T00:00"] * 3, "amount": column}),
        tmp_path / "r.parquet",
    )
    mapping = EventMapping(
        fields={
            "source": {"constant": "tills"},
            "event_id": {"template": "t-{id}"},
            "type": {"constant": "purchase"},
            "recipient_id": "who",
            "occurred_at": "at",
            "properties.odd": "amount",
        },
        time_zone="Europe/Paris",
    )
    found = verdicts(items(tmp_path / "r.parquet", mapping))
    assert found == [(1, "good"), (2, RejectionCode.UNMAPPED), (3, "good")]
