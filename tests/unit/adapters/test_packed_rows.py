"""A packed feature row gives back exactly what was packed, and anything cut or strange is refused."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.redis.packed_rows import BadRow, Kind, Layout, digest_of, pack, unpack

LAYOUT = Layout((("a", Kind.INT), ("b", Kind.FLOAT), ("c", Kind.TEXT), ("d", Kind.MOMENT), ("e", Kind.TEXT)))
SECONDS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)
ROW = st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False),
    st.none() | st.text(),
    st.none() | SECONDS,
    st.none() | st.text(),
)


def table(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    columns = dict(zip(LAYOUT.names, zip(*rows, strict=True), strict=True))
    return pd.DataFrame(
        {
            "a": pd.Series(columns["a"], dtype="Int64"),
            "b": pd.Series([np.nan if value is None else value for value in columns["b"]], dtype="float64"),
            "c": pd.Series(columns["c"], dtype="object"),
            "d": pd.Series(columns["d"], dtype="datetime64[us, UTC]"),
            "e": pd.Series(columns["e"], dtype="object"),
        }
    )


@given(st.lists(ROW, min_size=1, max_size=5))
def test_what_is_packed_is_unpacked(rows: list[tuple[object, ...]]) -> None:
    assert [tuple(unpack(LAYOUT, row)) for row in pack(LAYOUT, table(rows))] == rows


@given(ROW, st.integers(0, 200))
def test_a_cut_row_is_refused(row: tuple[object, ...], length: int) -> None:
    (packed,) = pack(LAYOUT, table([row]))
    if length < len(packed):
        with pytest.raises(BadRow):
            unpack(LAYOUT, packed[:length])


def test_a_row_names_its_layout_and_no_other_reads_it() -> None:
    (packed,) = pack(LAYOUT, table([(1, 2.0, "x", None, None)]))
    other = Layout((("a", Kind.INT),))
    assert digest_of(packed) == LAYOUT.digest != other.digest
    with pytest.raises(BadRow):
        unpack(other, packed)


def test_a_layout_survives_being_written_down_and_nonsense_is_refused() -> None:
    assert Layout.from_json(LAYOUT.json) == LAYOUT
    for text in (b"", b"{", b"[1]", b'[["a", "code"]]', b'[["a"]]'):
        with pytest.raises(BadRow):
            Layout.from_json(text)


def test_a_text_that_is_not_utf8_is_refused() -> None:
    (packed,) = pack(LAYOUT, table([(1, 2.0, "xy", None, None)]))
    with pytest.raises(BadRow):
        unpack(LAYOUT, packed.replace(b"xy", b"\xff\xfe"))


def test_a_column_that_is_missing_is_named() -> None:
    with pytest.raises(KeyError, match="e"):
        pack(LAYOUT, table([(1, 2.0, "x", None, None)]).drop(columns="e"))
