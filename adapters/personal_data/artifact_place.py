"""A person's rows in the artifacts of MLflow, the bundles and the files being staged, wherever a file has columns.

Kairos writes models, pictures and figures there, which name nobody; this holds what somebody's own run logged beside.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from adapters.lake import replace_file
from adapters.personal_data import parquet_rows
from adapters.personal_data.places import Person

FOLDERS = ("mlartifacts", "bundles", "staging")
"""Below the data folder; the artifacts of an MLflow server of your own are not reached."""
_BYTES = "surrogateescape"
"""Bytes that are no UTF-8 pass through as they are."""


class Artifacts:
    """Parquet, CSV, JSON and JSON lines with a ``recipient_id`` or a ``subject_key``."""

    name = "mlflow_artifacts"

    def __init__(self, data_dir: Path) -> None:
        self._folders = [data_dir / name for name in FOLDERS]

    def erase(self, connection: Connection, person: Person) -> int:  # noqa: ARG002 - the files are not in PostgreSQL
        """Write every file anew that has rows of the person; the others are not touched."""
        return sum(_READERS[path.suffix](path, person) for path in self.paths())

    def paths(self) -> list[Path]:
        """Return every file that may hold rows, in order."""
        found = sorted(path for folder in self._folders for path in folder.rglob("*") if path.is_file())
        return [path for path in found if path.suffix in _READERS]


def rows_of(path: Path, person: Person) -> list[dict[str, Any]]:
    """Return a person's rows of one file."""
    if path.suffix == ".parquet":
        return [row for batch in parquet_rows.batches_of(path, person, size=500) for row in batch]
    text = path.read_text(errors=_BYTES)
    if path.suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    elif path.suffix == ".json":
        rows = list(_objects(_loaded(text)))
    else:
        rows = [loaded for line in text.splitlines() if isinstance(loaded := _loaded(line), dict)]
    return [row for row in rows if _is_theirs(row, person)]


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object inside a value, and every row of a table of MLflow, as one."""
    if isinstance(value, dict):
        yield value
        columns, data = value.get("columns"), value.get("data")
        if isinstance(columns, list) and isinstance(data, list):
            yield from (_row(columns, row) for row in data if isinstance(row, list))
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(each)


def _parquet(path: Path, person: Person) -> int:
    kept, count = parquet_rows.without(path, person)
    if kept is not None:
        parquet_rows.rewrite(path, kept)
    return count


def _lines(path: Path, person: Person) -> int:
    lines = path.read_text(errors=_BYTES).splitlines(keepends=True)
    kept = [line for line in lines if not _is_theirs(_loaded(line), person)]
    return _replaced(path, "".join(kept), len(lines) - len(kept))


def _document(path: Path, person: Person) -> int:
    loaded = _loaded(path.read_text(errors=_BYTES))
    kept, count = _pruned(loaded, person)
    if _is_theirs(loaded, person):
        kept, count = None, count + 1
    return _replaced(path, json.dumps(kept), count)


def _table(path: Path, person: Person) -> int:
    with path.open(newline="", errors=_BYTES) as file:
        rows = list(csv.reader(file))
    if not rows:
        return 0
    kept = [row for row in rows[1:] if not _is_theirs(dict(zip(rows[0], row, strict=False)), person)]
    out = io.StringIO(newline="")
    csv.writer(out).writerows([rows[0], *kept])
    return _replaced(path, out.getvalue(), len(rows) - 1 - len(kept))


def _pruned(value: Any, person: Person) -> tuple[Any, int]:
    """Return a value without the objects in it that are the person's, and how many there were."""
    if isinstance(value, list):
        kept = [each for each in value if not _is_theirs(each, person)]
        inner = [_pruned(each, person) for each in kept]
        return [each for each, _ in inner], len(value) - len(kept) + sum(count for _, count in inner)
    if isinstance(value, dict):
        theirs = [name for name, each in value.items() if _is_theirs(each, person)]
        # How a table of MLflow is written: columns and rows apart.
        columns, data = value.get("columns"), value.get("data")
        if isinstance(columns, list) and isinstance(data, list):
            kept_rows = [row for row in data if not _is_theirs(_row(columns, row), person)]
            return {**value, "data": kept_rows}, len(data) - len(kept_rows)
        pruned = {name: _pruned(each, person) for name, each in value.items() if name not in theirs}
        kept_fields = {name: each for name, (each, _) in pruned.items()}
        return kept_fields, len(theirs) + sum(count for _, count in pruned.values())
    return value, 0


def _row(columns: Sequence[Any], row: Any) -> Any:
    return dict(zip(columns, row, strict=False)) if isinstance(row, list) else None


def _is_theirs(value: Any, person: Person) -> bool:
    if not isinstance(value, dict) or value.get("tenant", person.tenant.tenant) != person.tenant.tenant:
        return False
    return value.get("recipient_id") == person.recipient_id or value.get("subject_key") == person.subject_key


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _replaced(path: Path, text: str, count: int) -> int:
    if count:
        replace_file(path, text.encode(errors=_BYTES), incoming=path.parent)
    return count


_READERS = {".parquet": _parquet, ".jsonl": _lines, ".ndjson": _lines, ".json": _document, ".csv": _table}
