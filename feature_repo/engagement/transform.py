"""Turns events into features: one row per recipient and moment, by one function for night and stream.

Nothing that happens at or after a moment can enter its row. Runs on DuckDB in this process; the computation
itself is in ``expressions.py``.
"""

import hashlib
from dataclasses import dataclass
from functools import cache

import duckdb
import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from feature_repo.engagement import catalog
from feature_repo.engagement.catalog import Dtype
from feature_repo.engagement.expressions import EVENT_NAMES, expression

_UTC = pa.timestamp("us", tz="UTC")
_ARROW = {Dtype.INT: pa.int64(), Dtype.FLOAT: pa.float64(), Dtype.TEXT: pa.string(), Dtype.MOMENT: _UTC}
_NOT_TEXT = {
    "occurred_at": _UTC,
    "value_minor": pa.int64(),
    "local_hour_of_week": pa.int16(),
    "local_date": pa.date32(),
}

EVENT_SCHEMA = pa.schema([(name, _NOT_TEXT.get(name, pa.string())) for name in EVENT_NAMES])
"""The event columns that features depend on; others are ignored."""

MOMENT_SCHEMA = pa.schema([(name, _UTC if name == "as_of" else pa.string()) for name in catalog.KEYS])

_DUCKDB: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
"""Extensions would come from the internet, and the one for time zones would change what a cast means."""

_DECIMALS = 9
"""Floats are rounded, so that the order in which an engine adds never shows."""


@dataclass(frozen=True)
class ParquetFiles:
    """Event tables on disk; only the columns that features depend on are read."""

    paths: tuple[str, ...]


def from_events(events: pd.DataFrame | pa.Table | ParquetFiles, moments: pd.DataFrame) -> pd.DataFrame:
    """Compute every stored feature for each recipient at each moment.

    Args:
        events: rows in the shape of ``EVENT_COLUMNS``; at least those of the 90 days before each moment. Later and
            older ones change nothing. ``occurred_at`` is aware UTC.
        moments: ``tenant``, ``recipient_id``, ``as_of`` (aware UTC), without repetitions.

    Returns:
        One row per moment in ``catalog.columns()``, ordered by tenant, recipient and moment. A recipient without
        events has counts of 0 and missing rates, means and moments.

    Raises:
        ValueError: a needed column is missing or has another type, or a moment is repeated.
    """
    asked = _table(moments, MOMENT_SCHEMA, "moments")
    if moments.duplicated(list(catalog.KEYS)).any():
        raise ValueError("moments: each (tenant, recipient_id, as_of) may be asked for only once")
    with _database().cursor() as connection:
        if isinstance(events, ParquetFiles):
            _read(events, connection)
        else:
            connection.register("events", _zoneless(_table(events, EVENT_SCHEMA, "events")))
        connection.register("moments", _zoneless(asked))
        return _frame(connection.sql(_compiled()).to_arrow_table())


@cache
def version() -> str:
    """Return a name for the computation, 16 hexadecimal digits: another one may change rows without other events."""
    told = "\n".join([_compiled(), str(EVENT_SCHEMA), str(_types()), str(_DECIMALS)])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """Return the in-memory database of this process; callers take a cursor each, which is a session of its own."""
    return duckdb.connect(config=_DUCKDB)


@cache
def _compiled() -> str:
    events = ibis.table(ibis.Schema.from_pyarrow(_zoneless(EVENT_SCHEMA.empty_table()).schema), name="events")
    moments = ibis.table(ibis.Schema.from_pyarrow(_zoneless(MOMENT_SCHEMA.empty_table()).schema), name="moments")
    return str(ibis.to_sql(expression(events, moments), dialect="duckdb", pretty=False))


def _table(frame: pd.DataFrame | pa.Table, schema: pa.Schema, what: str) -> pa.Table:
    names = frame.column_names if isinstance(frame, pa.Table) else frame.columns
    missing = [name for name in schema.names if name not in names]
    if missing:
        raise ValueError(f"{what}: missing columns {', '.join(missing)}")
    try:
        if isinstance(frame, pa.Table):
            return frame.select(schema.names).cast(schema)
        return pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    except pa.ArrowException as error:
        raise ValueError(f"{what}: a column has not the expected type; {error}") from error


def _zoneless(table: pa.Table) -> pa.Table:
    """Return the table with its moments in UTC but without a zone: engines agree on those, whatever their zone."""
    naive = [field.with_type(pa.timestamp("us")) if field.type == _UTC else field for field in table.schema]
    return table.cast(pa.schema(naive))


def _read(events: ParquetFiles, connection: duckdb.DuckDBPyConnection) -> None:
    names = [name for name in EVENT_SCHEMA.names if name != "occurred_at"]
    # epoch_us reads the instant itself, where a cast would depend on the session's zone
    instant = "make_timestamp(epoch_us(occurred_at)) AS occurred_at"
    files = connection.read_parquet(list(events.paths), union_by_name=True)
    files.select(f"{', '.join(names)}, {instant}").create_view("events")


def _frame(table: pa.Table) -> pd.DataFrame:
    """Return the result typed and ordered."""
    ordered = table.cast(_types()).sort_by([(key, "ascending") for key in catalog.KEYS])
    arrays = [_rounded(column) if pa.types.is_floating(column.type) else column for column in ordered.columns]
    frame: pd.DataFrame = pa.table(arrays, names=ordered.column_names).to_pandas()
    return frame


def _types() -> pa.Schema:
    return pa.schema([*MOMENT_SCHEMA, *((feature.name, _ARROW[feature.dtype]) for feature in catalog.stored())])


def _rounded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.add(pc.round(column, _DECIMALS), 0.0)  # adding zero turns -0.0 into 0.0
