"""Files of events: JSON lines, CSV and Parquet, row by row, each row an item or its own refusal.

A bad row never costs its neighbours; what cannot be read at all is refused before anything is stored.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapters.csv_records import Record, records
from domain import ingest, strict_json
from domain.cell_values import Unmapped
from domain.event_mapping import EventMapping, NeedsZone, identity
from domain.events import MAX_EVENT_BYTES
from domain.ingest import Item, RejectionCode
from domain.strict_json import StrictJsonError

MOST_LINE_BYTES = 1024 * 1024
"""A longer line is refused without being kept whole."""
_PARQUET_ROWS = 5_000


class UnreadableFile(ValueError):
    """The file, or the way it is to be read, cannot be used at all."""


@dataclass(frozen=True)
class Row:
    """One row of a file: its place (from 1), its bytes, and its values or why it has none."""

    position: int
    raw: bytes
    values: dict[str, Any] | None
    expected: str = ""


def items(path: Path, mapping: EventMapping | None, *, source: str | None = None) -> Iterator[Item]:
    """Yield the items of a file, in order.

    Args:
        path: ``*.jsonl``, ``*.ndjson``, ``*.csv`` or ``*.parquet``.
        mapping: how a row becomes an event; None when columns or keys are already named like its fields.
        source: without a mapping, the source of every event that does not name its own.

    Raises:
        UnreadableFile: no such file or kind of file, a column of the mapping that is not there, or stamps without an
            offset and without a declared zone.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UnreadableFile(f"{path}: the name must end in one of {', '.join(sorted(_READERS))}")
    try:
        yield from reader(path, mapping, source)
    except OSError as error:
        raise UnreadableFile(f"{path}: {error.strerror or error}") from None


def _json_lines(path: Path, mapping: EventMapping | None, source: str | None) -> Iterator[Item]:
    with path.open("rb") as file:
        rows = enumerate(_lines(file.readline), start=1)
        if mapping is not None:
            yield from _mapped(path, mapping, (_json_row(line, position) for position, line in rows if line))
        elif source is None:
            yield from (ingest.read(line, position) for position, line in rows if line)
        else:
            yield from (_with_source(_json_row(line, position), source) for position, line in rows if line)


def _with_source(row: Row, source: str) -> Item:
    if row.values is None:
        return ingest.read(row.raw, row.position)
    return _item(row, {"source": source} | row.values)


def _lines(readline: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the lines; of an endless one only its beginning."""
    while line := readline(MOST_LINE_BYTES):
        kept = line
        while not line.endswith(b"\n") and (line := readline(MOST_LINE_BYTES)):
            pass
        yield kept.strip(b"\r\n")


def _json_row(line: bytes, position: int) -> Row:
    try:
        values = strict_json.loads(line, max_bytes=MOST_LINE_BYTES - 1)
    except StrictJsonError as error:
        return Row(position, line, None, f"{error.expected} ({error.place})" if error.place else error.expected)
    return Row(position, line, values if isinstance(values, dict) else None, "an object")


def _csv(path: Path, mapping: EventMapping | None, source: str | None) -> Iterator[Item]:
    delimiter = mapping.delimiter if mapping else ","
    with path.open("rb") as file:
        rows = records(file, delimiter=delimiter)
        head = next(rows, None)
        if head is None or head.cells is None:
            raise UnreadableFile(f"{path}:1: expected a line with the names of the columns, in UTF-8")
        names = head.cells
        if len(set(names)) < len(names):
            raise UnreadableFile(f"{path}:1: a column's name comes twice")
        plan = _plan(path, mapping, names, source)
        yield from _mapped(path, plan, (_csv_row(record, names) for record in rows))


def _csv_row(record: Record, names: list[str]) -> Row:
    if record.cells is None:
        return Row(record.line, record.raw, None, record.expected)
    if len(record.cells) != len(names):
        return Row(record.line, record.raw, None, f"{len(names)} cells, as the first line has")
    return Row(record.line, record.raw, dict(zip(names, record.cells, strict=True)))


def _parquet(path: Path, mapping: EventMapping | None, source: str | None) -> Iterator[Item]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
            plan = _plan(path, mapping, names, source)
            needed = {_owner(column, names) for column in plan.columns}
            columns = [name for name in names if name in needed]
            yield from _mapped(path, plan, _parquet_rows(file.iter_batches(_PARQUET_ROWS, columns=columns)))
    except pa.ArrowException as error:
        raise UnreadableFile(f"{path}: not a Parquet file that can be read ({type(error).__name__})") from None


def _parquet_rows(batches: Any) -> Iterator[Row]:
    position = 0
    for batch in batches:
        for values in _values(batch):
            position += 1
            if values is None:
                yield Row(position, b"", None, _READABLE)
                continue
            # Written as JSON so that a dead letter of any file can be read, and sent again, the same way.
            raw = json.dumps(values, default=_as_json, ensure_ascii=False).encode("utf-8", "replace")
            yield Row(position, raw, values)


_READABLE = "values that can be read: text in UTF-8, moments between the years 1 and 9999, a known time zone"


def _values(batch: Any) -> Iterator[dict[str, Any] | None]:
    """Yield the values of each row; None for a row that holds one nothing in Python can stand for."""
    try:
        yield from _in_microseconds(batch).to_pylist()
    except (ValueError, OverflowError, LookupError):
        # UnicodeDecodeError is a ValueError, an unknown time zone a LookupError. One row at a time, the rest is saved.
        if batch.num_rows == 1:
            yield None
            return
        for place in range(batch.num_rows):
            yield from _values(batch.slice(place, 1))


def _in_microseconds(batch: Any) -> Any:
    """Return the rows with moments as Python has them; nanoseconds would come as something else."""
    import pyarrow as pa

    fields = [
        pa.field(field.name, pa.timestamp("us", field.type.tz)) if pa.types.is_timestamp(field.type) else field
        for field in batch.schema
    ]
    return pa.Table.from_batches([batch]).cast(pa.schema(fields), safe=False)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    return repr(value)


_READERS = {".jsonl": _json_lines, ".ndjson": _json_lines, ".csv": _csv, ".parquet": _parquet}


def _plan(path: Path, mapping: EventMapping | None, names: list[str], source: str | None) -> EventMapping:
    """Return the mapping for a file with these columns; one must be there for everything it reads."""
    if mapping is None:
        try:
            return identity(names, source=source)
        except ValidationError as error:
            what = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise UnreadableFile(f"{path}: its columns are not those of an event ({what}); use --mapping") from None
    missing = {column: target for column, target in mapping.columns.items() if _owner(column, names) is None}
    if missing:
        told = ", ".join(f"{column} (for {target})" for column, target in missing.items())
        raise UnreadableFile(f"{path}: the mapping reads columns that are not there: {told}; it has {', '.join(names)}")
    return mapping


def _owner(column: str, names: list[str]) -> str | None:
    """Return the file's column that holds what a mapping calls ``column``, which may be a field inside it."""
    return next((name for name in (column, column.split(".", maxsplit=1)[0]) if name in names), None)


def _mapped(path: Path, mapping: EventMapping, rows: Iterator[Row]) -> Iterator[Item]:
    is_first = True
    for row in rows:
        if row.values is None:
            yield Item.rejected(row.position, row.raw, RejectionCode.UNMAPPED, None, row.expected)
            continue
        try:
            yield _item(row, mapping.apply(row.values))
        except Unmapped as error:
            yield Item.rejected(row.position, row.raw, RejectionCode.UNMAPPED, error.field, error.expected)
        except NeedsZone as error:
            # In the first row it is the mapping that is wrong; further down it is the row.
            if is_first:
                raise UnreadableFile(f"{path}:{row.position}: {error}") from None
            yield Item.rejected(row.position, row.raw, RejectionCode.UNMAPPED, "occurred_at", "a stamp with its offset")
        is_first = False


def _item(row: Row, event: dict[str, Any]) -> Item:
    """Read the mapped event by the same strict path as a request; a refusal keeps the row's own bytes."""
    text = json.dumps(event, default=_as_json, ensure_ascii=False)
    item = ingest.read(text.encode("utf-8", "surrogatepass"), row.position, max_bytes=MAX_EVENT_BYTES)
    return item if item.event is not None else Item(item.position, row.raw, None, item.rejection)


def estimated_rows(path: Path) -> int | None:
    """Return about how many rows a file has, for a progress bar; None when it cannot be told."""
    try:
        if path.suffix.lower() == ".parquet":
            import pyarrow.parquet as pq

            return int(pq.read_metadata(path).num_rows)
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(MOST_LINE_BYTES), b""))
    except (OSError, ValueError):
        return None
