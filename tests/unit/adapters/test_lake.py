"""The lake: whole files, equal bytes for equal rows, days that failed a check kept out of use."""

from datetime import date

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from adapters.lake import Lake, NoSuchTable, Quarantined

MONDAY, TUESDAY, WEDNESDAY = date(2025, 1, 6), date(2025, 1, 7), date(2025, 1, 8)
TABLE = "core_things_daily"


def rows(*values: int) -> pa.Table:
    return pa.table({"value": pa.array(values, pa.int64()), "name": [f"n{value}" for value in values]})


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(tmp_path / "lake")


def test_what_is_written_is_read_and_a_day_is_replaced_whole(lake):
    lake.write(TABLE, rows(1, 2), day=MONDAY)
    lake.write(TABLE, rows(3), day=MONDAY)
    assert lake.read(TABLE, day=MONDAY) == rows(3)
    assert lake.rows(TABLE, day=MONDAY) == 1


def test_equal_rows_leave_equal_bytes_however_they_were_cut(lake):
    once = lake.write(TABLE, rows(1, 2, 3), day=MONDAY)
    again = lake.write(TABLE, pa.concat_tables([rows(1), rows(2, 3)]), day=TUESDAY)
    assert once.digest == again.digest == lake.digest(TABLE, day=MONDAY)
    assert lake.write(TABLE, rows(1, 2, 4), day=MONDAY).digest != once.digest


def test_notes_stay_with_the_file(lake):
    assert lake.notes(TABLE, day=MONDAY) == {}
    lake.write(TABLE, rows(1), day=MONDAY, notes={"made_by": "a test"})
    assert lake.notes(TABLE, day=MONDAY) == {"made_by": "a test"}
    assert lake.read(TABLE, day=MONDAY).schema.metadata is None


def test_days_and_their_files_come_in_order_between_two_days_inclusive(lake):
    for day in (WEDNESDAY, MONDAY, TUESDAY):
        lake.write(TABLE, rows(day.day), day=day)
    (lake.root / TABLE / "date=2025-01-09").mkdir()
    (lake.root / TABLE / "notes").mkdir()
    assert lake.days(TABLE) == (MONDAY, TUESDAY, WEDNESDAY)
    assert lake.days(TABLE, first=TUESDAY, last=TUESDAY) == (TUESDAY,)
    assert [path.split("date=")[1][:10] for path in lake.paths(TABLE, first=TUESDAY)] == ["2025-01-07", "2025-01-08"]


def test_a_selection_reads_some_columns_of_the_days_up_to_one(lake):
    for day in (MONDAY, TUESDAY, WEDNESDAY):
        lake.write(TABLE, rows(day.day, 50), day=day)
    found = lake.select(TABLE, columns=["value"], where=pads.field("value") < 50, last=TUESDAY)
    assert found.to_pydict() == {"value": [6, 7]}


@pytest.mark.parametrize("read", ["read", "rows", "digest"])
def test_what_was_never_written_is_not_empty_but_missing(lake, read):
    with pytest.raises(NoSuchTable, match="core_things_daily of 2025-01-06"):
        getattr(lake, read)(TABLE, day=MONDAY)
    with pytest.raises(NoSuchTable):
        lake.select(TABLE, columns=["value"])


def test_a_write_that_breaks_off_leaves_the_old_file_and_nothing_else(lake, monkeypatch):
    lake.write(TABLE, rows(1), day=MONDAY)

    def fail(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("adapters.lake.os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        lake.write(TABLE, rows(2), day=MONDAY)
    assert lake.read(TABLE, day=MONDAY) == rows(1)
    assert list((lake.root / ".incoming").iterdir()) == []


@pytest.mark.parametrize("name", ["../secrets", "A", "", "raw events", "x/y"])
def test_a_table_has_a_plain_name(lake, name):
    with pytest.raises(ValueError, match="lower case"):
        lake.write(name, rows(1))


def test_a_day_that_broke_a_claim_may_not_be_used_until_every_claim_holds(lake):
    lake.quarantine(TABLE, TUESDAY, "ids_are_unique", rows(1))
    lake.quarantine(TABLE, TUESDAY, "types_are_known", rows(1))
    lake.require_checked(TABLE, last=MONDAY)
    lake.require_checked(TABLE, first=WEDNESDAY)
    with pytest.raises(Quarantined, match=r"2025-01-07 \(ids_are_unique, types_are_known\)"):
        lake.require_checked(TABLE, first=MONDAY, last=TUESDAY)
    lake.release(TABLE, TUESDAY, "ids_are_unique")
    assert lake.quarantined(TABLE) == {TUESDAY: ("types_are_known",)}
    lake.release(TABLE, TUESDAY, "types_are_known")
    lake.release(TABLE, TUESDAY, "types_are_known")
    lake.require_checked(TABLE)
    assert lake.quarantined(TABLE) == {}
