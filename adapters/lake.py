"""The lake: Parquet tables on disk, one folder per UTC day or one file for a whole table.

A file appears whole or not at all; writing the same rows again leaves the same bytes. Rows that failed a check are
kept in quarantine, and a table with a quarantined day is not read by whoever asks for checked days.
"""

import hashlib
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

_TABLE = re.compile(r"^[a-z][a-z0-9_]{2,79}$")
_DAY = re.compile(r"^date=(\d{4}-\d\d-\d\d)$")
_FILE = "part.parquet"


class NoSuchTable(LookupError):
    """The lake holds no such table, or not for that day; materialize it first."""


class Quarantined(ValueError):
    """Days of a table failed a check; nothing may be made from them until they pass."""


@dataclass(frozen=True)
class Written:
    """What one write left behind: ``digest`` is the SHA-256 of the file's bytes, hex."""

    rows: int
    digest: str
    path: Path


class Lake:
    """Reads and writes tables below one folder; a reader never sees half a file."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(
        self, table: str, rows: pa.Table, *, day: date | None = None, notes: Mapping[str, str] | None = None
    ) -> Written:
        """Replace one day of a table, or the whole table when ``day`` is None.

        Args:
            table: the table's name.
            rows: what it holds afterwards, in the order given.
            day: the UTC day the rows belong to.
            notes: short texts kept in the file, read again by ``notes``.
        """
        payload = _encode(rows, notes or {})
        path = self._path(table, day)
        self._replace(path, payload)
        return Written(rows.num_rows, hashlib.sha256(payload).hexdigest(), path)

    def read(self, table: str, *, day: date | None = None) -> pa.Table:
        """Return one day of a table, or the whole of an undivided one.

        Raises:
            NoSuchTable: nothing was written there.
        """
        with pq.ParquetFile(self._existing(table, day)) as file:
            return file.read().replace_schema_metadata(None)

    def select(
        self, table: str, *, columns: Sequence[str], where: pads.Expression | None = None, last: date | None = None
    ) -> pa.Table:
        """Return some columns of every day of a table, or of the days up to ``last``, filtered; days in order.

        Raises:
            NoSuchTable: no day was written.
        """
        paths = self.paths(table, last=last)
        if not paths:
            raise NoSuchTable(f"the lake has no day of {table}")
        dataset = pads.dataset(list(paths), format="parquet")
        return dataset.to_table(columns=list(columns), filter=where)

    def exists(self, table: str, *, day: date | None = None) -> bool:
        """Tell whether something was written there."""
        return self._path(table, day).is_file()

    def notes(self, table: str, *, day: date | None = None) -> dict[str, str]:
        """Return the notes written with a file; a missing file has none."""
        if not self.exists(table, day=day):
            return {}
        with pq.ParquetFile(self._path(table, day)) as file:
            kept = file.schema_arrow.metadata or {}
        return {key.decode(): text.decode() for key, text in kept.items()}

    def rows(self, table: str, *, day: date | None = None) -> int:
        """Return how many rows a file has, without reading them.

        Raises:
            NoSuchTable: nothing was written there.
        """
        with pq.ParquetFile(self._existing(table, day)) as file:
            return int(file.metadata.num_rows)

    def digest(self, table: str, *, day: date | None = None) -> str:
        """Return the SHA-256 of a file's bytes, hex: equal digests mean the same rows and notes.

        Raises:
            NoSuchTable: nothing was written there.
        """
        return hashlib.sha256(self._existing(table, day).read_bytes()).hexdigest()

    def days(self, table: str, *, first: date | None = None, last: date | None = None) -> tuple[date, ...]:
        """Return the days a table has, in order, both ends included."""
        folder = self.root / _checked(table)
        names = (match[1] for path in _listed(folder) if (match := _DAY.match(path.name)) and (path / _FILE).is_file())
        found = sorted(date.fromisoformat(name) for name in names)
        return tuple(day for day in found if (first is None or day >= first) and (last is None or day <= last))

    def paths(self, table: str, *, first: date | None = None, last: date | None = None) -> tuple[str, ...]:
        """Return the files of the days a table has, in order, both ends included."""
        return tuple(str(self._path(table, day)) for day in self.days(table, first=first, last=last))

    def files(self) -> tuple[Path, ...]:
        """Return every file of every table, those in quarantine too, in order."""
        return tuple(sorted(path for path in self.root.rglob("*.parquet") if ".incoming" not in path.parts))

    def rewrite(self, path: Path, rows: pa.Table) -> None:
        """Replace the rows of one of ``files``; its notes stay."""
        with pq.ParquetFile(path) as file:
            kept = file.schema_arrow.metadata or {}
        notes = {key.decode(): text.decode() for key, text in kept.items()}
        self._replace(path, _encode(rows, notes))

    def quarantine(self, table: str, day: date, claim: str, rows: pa.Table) -> Path:
        """Keep the rows that broke a claim about one day, and mark the day as not to be used."""
        path = self._quarantine(table, day) / f"{claim}.parquet"
        self._replace(path, _encode(rows, {}))
        return path

    def release(self, table: str, day: date, claim: str) -> None:
        """Take back the mark of one claim: the day's rows keep it now."""
        folder = self._quarantine(table, day)
        (folder / f"{claim}.parquet").unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            shutil.rmtree(folder)

    def quarantined(self, table: str) -> dict[date, tuple[str, ...]]:
        """Return the days of a table that broke a claim, with the claims."""
        folders = _listed(self.root / "quarantine" / _checked(table))
        marked = {match[1]: folder for folder in folders if (match := _DAY.match(folder.name))}
        return {
            date.fromisoformat(day): tuple(sorted(path.stem for path in folder.glob("*.parquet")))
            for day, folder in sorted(marked.items())
        }

    def require_checked(self, table: str, *, first: date | None = None, last: date | None = None) -> None:
        """Refuse when a day of the table between ``first`` and ``last``, both included, broke a claim.

        Raises:
            Quarantined: names the days and the claims.
        """
        broken = {
            day: claims
            for day, claims in self.quarantined(table).items()
            if (first is None or day >= first) and (last is None or day <= last)
        }
        if broken:
            listed = "; ".join(f"{day} ({', '.join(claims)})" for day, claims in broken.items())
            raise Quarantined(f"{table} failed its checks on {listed}; mend and materialize these days first")

    def _path(self, table: str, day: date | None) -> Path:
        folder = self.root / _checked(table)
        return folder / _FILE if day is None else folder / f"date={day.isoformat()}" / _FILE

    def _existing(self, table: str, day: date | None) -> Path:
        path = self._path(table, day)
        if not path.is_file():
            raise NoSuchTable(f"the lake has no {table}{'' if day is None else f' of {day}'}")
        return path

    def _quarantine(self, table: str, day: date) -> Path:
        return self.root / "quarantine" / _checked(table) / f"date={day.isoformat()}"

    def _replace(self, path: Path, payload: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        incoming = self.root / ".incoming"
        incoming.mkdir(exist_ok=True)
        replace_file(path, payload, incoming=incoming)


def replace_file(path: Path, payload: bytes, *, incoming: Path) -> None:
    """Replace a file whole or not at all; ``incoming`` is a folder of the same file system."""
    handle, name = tempfile.mkstemp(dir=incoming)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _encode(rows: pa.Table, notes: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    # One chunk and our own notes only: what pandas or a chunked reader left behind would change the bytes.
    pq.write_table(rows.combine_chunks().replace_schema_metadata(dict(notes)), buffer, compression="zstd")
    return buffer.getvalue()


def _checked(table: str) -> str:
    if not _TABLE.match(table):
        raise ValueError(f"a table's name is lower case letters, digits and underscores, not {table!r}")
    return table


def _listed(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else ()
