"""What an export reads outside PostgreSQL: rows of a person in the lake and in artifacts, and their online features."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Connection

from adapters.feature_store import PROJECT
from adapters.lake import Lake
from adapters.personal_data import artifact_place, parquet_rows
from adapters.personal_data.export_sources import Record
from adapters.personal_data.online_place import OnlineUnavailable
from adapters.personal_data.places import Person

_BATCH = 500


class LakeRows:
    """Rows of the person in every Parquet file of the lake; ``after`` is a file and how many batches of it are done."""

    name = "lake"

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._under_way: tuple[str, int, Iterator[list[Record]]] | None = None

    def page(self, connection: Connection, person: Person, after: Any) -> tuple[list[Record], Any]:  # noqa: ARG002
        """Return the person's rows of the next batch that has some."""
        root = self._lake.root
        paths = sorted(path.relative_to(root).as_posix() for path in self._lake.files())
        start, done = after if after is not None else ("", 0)
        for path in (each for each in paths if each >= start):
            skipped = done if path == start else 0
            for number, records in self._batches(root / path, path, skipped, person):
                if records:
                    return [{"file": path, **record} for record in records], [path, number + 1]
        self._under_way = None
        return [], None

    def _batches(self, path: Path, name: str, skipped: int, person: Person) -> Iterator[tuple[int, list[Record]]]:
        """Yield batches behind the first so many; the reading that stands there goes on, rather than begin anew."""
        held = self._under_way
        key = f"{person.tenant.tenant}|{person.recipient_id}|{name}"
        if held is not None and held[:2] == (key, skipped):
            batches = held[2]
        else:
            batches = parquet_rows.batches_of(path, person, size=_BATCH)
            for _ in range(skipped):
                next(batches, None)
        for number, records in enumerate(batches, skipped):
            self._under_way = (key, number + 1, batches)
            yield number, records


class ArtifactRows:
    """Rows of the person in artifacts; one file a page."""

    name = "mlflow_artifacts"

    def __init__(self, data_dir: Path) -> None:
        self._artifacts = artifact_place.Artifacts(data_dir)

    def page(self, connection: Connection, person: Person, after: Any) -> tuple[list[Record], Any]:  # noqa: ARG002
        """Return the person's rows of the next file that has some."""
        for path in sorted(self._artifacts.paths(), key=Path.as_posix):
            if after is None or path.as_posix() > after:
                records = artifact_place.rows_of(path, person)
                if records:
                    return [{"file": path.name, **record} for record in records], path.as_posix()
        return [], None


class OnlineRows:
    """The person's features as decisions read them."""

    name = "online_features"

    def __init__(self, client: Redis) -> None:
        self._client = client

    def page(self, connection: Connection, person: Person, after: Any) -> tuple[list[Record], Any]:  # noqa: ARG002
        """Return one record for each view.

        Raises:
            OnlineUnavailable: Valkey does not answer.
        """
        from adapters.redis import online_store

        stored_at = online_store.key(PROJECT, person.tenant.tenant, person.recipient_id)
        try:
            fields: dict[Any, Any] = self._client.hgetall(stored_at)  # type: ignore[arg-type, assignment]
            rows = {_text(name): value for name, value in fields.items() if _text(name).startswith("row:")}
            return [{"view": name[4:], "features": self._unpacked(value)} for name, value in sorted(rows.items())], None
        except RedisError as error:
            raise OnlineUnavailable(f"Valkey cannot do it now ({type(error).__name__})") from None

    def _unpacked(self, row: Any) -> Any:
        from adapters.redis import keys
        from adapters.redis.packed_rows import BadRow, Layout, digest_of, unpack

        raw = row.encode(errors="surrogateescape") if isinstance(row, str) else bytes(row)
        try:
            told: Any = self._client.hget(keys.FEATURE_LAYOUTS, digest_of(raw))  # type: ignore[arg-type]
            if told is None:
                return raw.decode(errors="backslashreplace")
            layout = Layout.from_json(told if isinstance(told, bytes) else told.encode())
            return dict(zip([name for name, _ in layout.columns], unpack(layout, raw), strict=True))
        except BadRow:
            return raw.decode(errors="backslashreplace")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
