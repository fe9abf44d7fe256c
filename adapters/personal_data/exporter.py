"""Writes exports, page by page into a sealed file; one that was killed goes on where its last page was committed."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from redis import Redis

from adapters.clock import real_now
from adapters.lake import Lake
from adapters.personal_data import export_sources
from adapters.personal_data.export_files import ArtifactRows, LakeRows, OnlineRows
from adapters.personal_data.export_place import FOLDER, path_of
from adapters.personal_data.export_sources import Letters, Record, Source, TableSource
from adapters.personal_data.places import Person
from adapters.personal_data.spool_place import SpoolFiles
from adapters.postgres import allowances, exports
from adapters.postgres.exports import Exports, Held, Progress
from adapters.sealed_file import SealedFile
from adapters.secrets import SecretBox
from domain.exports import CONTEXT, PORTABLE, ExportKind
from domain.tenants import Tenant


def sources(lake: Lake, redis: Redis, data_dir: Path, box: SecretBox) -> dict[ExportKind, list[Source]]:
    """Return what each kind of export reads, in order."""
    files: list[Source] = [SpoolFiles(data_dir, box), LakeRows(lake), ArtifactRows(data_dir)]
    outside = [Letters(), *files, OnlineRows(redis)]
    return {
        ExportKind.ACCESS: [*export_sources.tables(), *outside],
        ExportKind.PORTABILITY: [TableSource(name) for name in PORTABLE],
    }


class Exporter:
    """Writes the files of exports."""

    def __init__(self, store: Exports, read: dict[ExportKind, list[Source]], data_dir: Path) -> None:
        self._store = store
        self._read = read
        self._data_dir = data_dir

    def step(self, tenant: Tenant, export_id: str) -> bool:
        """Write one page of an export; returns whether it goes on.

        Raises:
            OnlineUnavailable, Unavailable: a store is away; call again.
        """
        with self._store.held(tenant, export_id) as found:
            if found is None:
                return False
            connection, held = found
            listed = self._read[held.kind]
            progress = held.progress
            if progress.chunks == 0:
                exports.advance(connection, export_id, self._written(tenant, held, progress, _head(held)))
                return True
            # What is kept under an id that was merged into theirs is theirs, too.
            ids = [held.recipient_id, *sorted(allowances.aliases(connection, [held.recipient_id]))]
            if progress.source >= len(listed) * len(ids):
                exports.advance(connection, export_id, self._written(tenant, held, progress, b"\n]}\n"))
                exports.finish(connection, tenant, export_id, now=real_now())
                return False
            whose, at = divmod(progress.source, len(listed))
            source, person = listed[at], Person(tenant, ids[whose], export_id)
            records, after = source.page(connection, person, progress.after)
            if records:
                piece = _encoded(source.name, records, is_first=progress.records == 0)
                progress = self._written(tenant, held, progress, piece)
            progress = replace(progress, records=progress.records + len(records), after=after)
            if after is None:
                progress = replace(progress, source=progress.source + 1)
            exports.advance(connection, export_id, progress)
            return True

    def tidy(self, tenants: Sequence[Tenant]) -> int:
        """Delete the files nobody may fetch any more; returns how many."""
        # Files first: one that is made after this reading belongs to a row that the next reading would not show.
        present = list((self._data_dir / FOLDER).glob("*.sealed"))
        wanted = {each for tenant in tenants for each in self._store.with_file(tenant)}
        stale = [path for path in present if path.stem not in wanted]
        for path in stale:
            path.unlink(missing_ok=True)
        return len(stale)

    def _written(self, tenant: Tenant, held: Held, progress: Progress, piece: bytes) -> Progress:
        file = sealed_file(self._data_dir, tenant.tenant, held.export_id, held.key)
        length = file.append(piece, number=progress.chunks, at=progress.bytes)
        return replace(progress, chunks=progress.chunks + 1, bytes=length)


def sealed_file(data_dir: Path, tenant: str, export_id: str, key: bytes) -> SealedFile:
    """Return the file of an export."""
    return SealedFile(path_of(data_dir, export_id), key, name=f"export|{tenant}|{export_id}")


def _head(held: Held) -> bytes:
    about = {"@context": CONTEXT, "@type": "Export", "kind": held.kind.value, "recipient_id": held.recipient_id}
    return json.dumps(about, separators=(",", ":"))[:-1].encode() + b',"@graph":[\n'


def _encoded(store: str, records: Sequence[Record], *, is_first: bool) -> bytes:
    kind = PORTABLE.get(store, "".join(part.capitalize() for part in store.split("_")))
    typed = ({"@type": kind, "store": store, **_finite(record)} for record in records)
    lines = [json.dumps(each, default=_plain, separators=(",", ":"), allow_nan=False) for each in typed]
    return (b"" if is_first else b",\n") + ",\n".join(lines).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)
