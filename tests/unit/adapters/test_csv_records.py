"""CSV records: a damaged line costs itself, and every record knows the line it begins on."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.csv_records import MOST_BYTES, MOST_LINES, records


def read(data, delimiter=","):
    return [(record.line, record.cells) for record in records(io.BytesIO(data), delimiter=delimiter)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a,b\n1,2\n", [(1, ["a", "b"]), (2, ["1", "2"])]),
        (b"a,b\r\n1,2", [(1, ["a", "b"]), (2, ["1", "2"])]),
        (b"\xef\xbb\xbfa\n\n1\n", [(1, ["a"]), (3, ["1"])]),
        (b'"x\ny",2\n3,4\n', [(1, ["x\ny", "2"]), (3, ["3", "4"])]),
        (b'1,"oops\n3,4\n5,6\n', [(1, None), (2, ["3", "4"]), (3, ["5", "6"])]),
        (b'1,"a"b\n3,4\n', [(1, None), (2, ["3", "4"])]),
        (b"1,\xff\n3,4\n", [(1, None), (2, ["3", "4"])]),
        (b'1,"a\n\xff"\n3,4\n', [(1, None), (2, None), (3, ["3", "4"])]),
        (b"", []),
        (b"\n\n", []),
    ],
)
def test_records_are_read_and_damaged_lines_stand_alone(data, expected):
    assert read(data) == expected


def test_a_stray_quote_never_swallows_the_rest_of_a_long_file():
    lines = [b"1,2\n"] * (3 * MOST_LINES)
    lines[1] = b'1,"2\n'
    found = read(b"".join(lines))
    assert [line for line, cells in found if cells is None] == [2]
    assert len(found) == len(lines)


def test_a_line_without_an_end_is_cut_and_the_next_line_keeps_its_number():
    found = read(b"a,b\n" + b"x" * (2 * MOST_BYTES) + b"\n1,2\n")
    assert found[-1] == (3, ["1", "2"])
    assert {line for line, _ in found} == {1, 2, 3}


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@given(st.lists(st.lists(CELL, min_size=2, max_size=3), max_size=6))
def test_what_the_csv_writer_writes_is_read_back(rows):
    written = io.StringIO(newline="")
    csv.writer(written).writerows(rows)
    # A first line that begins with U+FEFF cannot be told from a byte order mark.
    found = read(b"head\n" + written.getvalue().encode())
    assert [cells for _, cells in found[1:]] == rows
