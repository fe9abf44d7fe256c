"""Rows of people in one Parquet file: whom it names, and the file without one of them."""

import functools
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from adapters.lake import replace_file
from adapters.personal_data.places import Person

RECIPIENT, SUBJECT, TENANT = "recipient_id", "subject_key", "tenant"
_BUFFER_BYTES = 65_536
"""Read of a column at a time; without it a whole column of a row group is in memory."""


def without(path: Path, person: Person, *, key: str | None = None) -> tuple[pa.Table | None, int]:
    """Return the file's rows without those of a person and how many those were; None when it has none of them.

    ``key`` is the person's pseudonym where nothing else is known.
    """
    names = {RECIPIENT: person.recipient_id, SUBJECT: key or person.subject_key}
    with pq.ParquetFile(path) as file:
        present = [name for name in names if name in file.schema_arrow.names]
        if not present or TENANT not in file.schema_arrow.names:
            return None, 0
        rows = file.read(columns=[TENANT, *present])
        named = functools.reduce(pc.or_kleene, [pc.equal(rows[name], names[name]) for name in present])
        mine = pc.and_kleene(pc.equal(rows[TENANT], person.tenant.tenant), named)
        theirs = pc.fill_null(mine, pa.scalar(value=False))
        count = int(pc.sum(theirs).as_py() or 0)
        return (file.read().filter(pc.invert(theirs)) if count else None), count


def anonymous(path: Path, person: Person) -> tuple[pa.Table | None, int]:
    """Return the file's rows with the person's under their random id, and how many those are; None without any."""
    with pq.ParquetFile(path) as file:
        if not {TENANT, RECIPIENT} <= set(file.schema_arrow.names):
            return None, 0
        rows = file.read()
    mine = pc.and_kleene(pc.equal(rows[TENANT], person.tenant.tenant), pc.equal(rows[RECIPIENT], person.recipient_id))
    theirs = pc.fill_null(mine, pa.scalar(value=False))
    count = int(pc.sum(theirs).as_py() or 0)
    for place, field in enumerate(rows.schema) if count else ():
        if field.name in _LINKING:
            masked = pc.if_else(theirs, _masked(field, person, rows.num_rows), rows[field.name])
            rows = rows.set_column(place, field, masked)
    return (rows if count else None), count


def _masked(field: pa.Field, person: Person, count: int) -> pa.Array | pa.Scalar:
    if field.name == "event_id":
        return pa.array([f"{person.anonymous_id}-{number}" for number in range(count)], field.type)
    value = {RECIPIENT: person.anonymous_id, "properties": "{}"}.get(field.name)
    return pa.scalar(value, field.type)


_LINKING = frozenset({RECIPIENT, "event_id", "session_id", "decision_id", "properties", "context", "attribution"})
"""Columns of events that name the person, or lead to them; the same ones PostgreSQL's function clears."""


def people(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield whom a file names, each once: tenant, ``recipient_id`` or ``subject_key``, and the value."""
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        for column in (RECIPIENT, SUBJECT):
            if column in names and TENANT in names:
                rows = file.read(columns=[TENANT, column]).group_by([TENANT, column]).aggregate([]).to_pylist()
                yield from ((row[TENANT], column, row[column]) for row in rows if row[column] is not None)


def batches_of(path: Path, person: Person, *, size: int) -> Iterator[list[dict[str, Any]]]:
    """Yield a person's rows of a file, batch by batch of the file's rows; a batch without any is an empty list."""
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
        names = file.schema_arrow.names
        present = [name for name in (RECIPIENT, SUBJECT) if name in names]
        if not present or TENANT not in names:
            return
        wanted = {RECIPIENT: person.recipient_id, SUBJECT: person.subject_key}
        for batch in file.iter_batches(batch_size=size, use_threads=False):
            named = functools.reduce(pc.or_kleene, [pc.equal(batch[name], wanted[name]) for name in present])
            mine = pc.and_kleene(pc.equal(batch[TENANT], person.tenant.tenant), named)
            yield batch.filter(pc.fill_null(mine, pa.scalar(value=False))).to_pylist()


def rewrite(path: Path, rows: pa.Table) -> None:
    """Replace a file that is not of the lake."""
    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    replace_file(path, buffer.getvalue(), incoming=path.parent)
