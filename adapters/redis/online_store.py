"""The Feast online store of Kairos: one packed value in Redis for each recipient and view, written atomically.

A row never replaces a newer one, whoever writes at the same time: the comparison is part of the write. Readers with
another version of a view find the columns they share by name. Imported by Feast, by name, from its configuration.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import pandas as pd
import structlog
from feast import Entity, FeatureView, RepoConfig
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel
from feast.types import Float64, Int64, String, UnixTimestamp
from pydantic import StrictInt, StrictStr
from redis import Redis

from adapters.redis import keys
from adapters.redis.client import connect, pipeline
from adapters.redis.packed_rows import BadRow, Kind, Layout, digest_of, pack, unpack

NAME: Literal["adapters.redis.online_store.KairosOnlineStore"] = "adapters.redis.online_store.KairosOnlineStore"
JOIN_KEYS = ("tenant", "recipient_id")
_KEY_VERSION = 3
_ROWS_PER_PIPELINE = 500
_NO_MOMENT = -(2**63)
"""How Feast spells a missing time stamp."""
_KINDS = {Int64: Kind.INT, Float64: Kind.FLOAT, String: Kind.TEXT, UnixTimestamp: Kind.MOMENT}
_FIELDS = {Kind.INT: "int64_val", Kind.FLOAT: "double_val", Kind.TEXT: "string_val", Kind.MOMENT: "unix_timestamp_val"}

FeastRow = tuple[Any, dict[str, Any], datetime, datetime | None]
"""Entity key, value by feature, event timestamp, creation timestamp; as Feast hands them over."""

_log = structlog.get_logger(__name__)


class KairosOnlineStoreConfig(FeastConfigBaseModel):
    """Where the server is, and how long one command may take."""

    type: Literal["adapters.redis.online_store.KairosOnlineStore"] = NAME
    url: StrictStr
    timeout_ms: StrictInt


class KairosOnlineStore(OnlineStore):
    """Online features in Redis; writing a row again, or an older one, changes nothing."""

    def __init__(self) -> None:
        self._redis: Any = None
        self._layouts: dict[bytes, Layout] = {}

    def client(self, config: RepoConfig) -> Redis:
        """Return the client, made on first use."""
        if self._redis is None:
            self._redis = connect(config.online_store.url, timeout_ms=config.online_store.timeout_ms)
        client: Redis = self._redis
        return client

    def write_table(self, config: RepoConfig, view: FeatureView, table: pd.DataFrame) -> None:
        """Write the rows of a feature table, each stamped with its ``as_of``.

        Raises:
            KeyError: the table lacks a column of the view.
        """
        layout = layout_of(view)
        recipients = zip(table["tenant"].tolist(), table["recipient_id"].tolist(), strict=True)
        stored_at = [key(config.project, tenant, recipient) for tenant, recipient in recipients]
        stamps = [stamp.to_pydatetime() for stamp in table["as_of"]]
        self._write(config, view.name, layout, list(zip(stored_at, stamps, pack(layout, table), strict=True)))

    def read(
        self,
        config: RepoConfig,
        stored_at: Sequence[bytes],
        views: Sequence[str],
        *,
        seconds: float | None = None,
    ) -> list[list[bytes | None]]:
        """Return the packed rows of some views for each key, in one round trip that takes ``seconds`` at the most."""
        client: Any = self.client(config)
        fields = [f"row:{view}" for view in views]
        with pipeline(client, seconds=seconds) as pipe:
            for each in stored_at:
                pipe.hmget(each, fields)
            rows: list[list[bytes | None]] = pipe.execute()
        return rows

    def values(self, config: RepoConfig, wanted: Layout, row: bytes | None) -> list[Any]:
        """Return a row's values in the order wanted; None for what is missing, unknown or unreadable."""
        try:
            if row is None:
                return [None] * len(wanted.columns)
            if digest_of(row) == wanted.digest:
                return unpack(wanted, row)
            layout = self._layout(config, digest_of(row))
            found = dict(zip(layout.names, unpack(layout, row), strict=True))
            return [found.get(name) for name in wanted.names]
        except BadRow as error:
            _log.warning("features.unreadable_row", problem=str(error))
            return [None] * len(wanted.columns)

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: Sequence[FeastRow], progress: Callable[[int], Any] | None
    ) -> None:
        """Write rows that Feast has made, as it does to materialize."""
        layout = layout_of(table)
        packed = pack(layout, _frame(layout, [values for _, values, _, _ in data]))
        stored_at = [_key(config.project, entity) for entity, _, _, _ in data]
        stamps = [stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC) for _, _, stamp, _ in data]
        self._write(config, table.name, layout, list(zip(stored_at, stamps, packed, strict=True)))
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[Any],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Any] | None]]:
        """Return rows as Feast wants them; serving uses ``read``, which makes no object for each value."""
        layout = layout_of(table)
        rows = self.read(config, [_key(config.project, entity) for entity in entity_keys], [table.name])
        found: list[tuple[datetime | None, dict[str, Any] | None]] = []
        for (row,) in rows:
            named = zip(layout.columns, self.values(config, layout, row), strict=True)
            values = {name: _value(kind, value) for (name, kind), value in named}
            wanted = requested_features or list(values)
            found.append((None, {name: values[name] for name in wanted} if row is not None else None))
        return found

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,  # noqa: FBT001 - Feast's signature
    ) -> None:
        """Do nothing: rows of a removed view stay with their recipient; finding them would scan the server."""

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Do nothing, for the same reason."""

    def _write(
        self, config: RepoConfig, view: str, layout: Layout, rows: Sequence[tuple[bytes, datetime, bytes]]
    ) -> None:
        client: Any = self.client(config)
        for start in range(0, len(rows), _ROWS_PER_PIPELINE):
            with client.pipeline(transaction=False) as pipe:
                # With every batch, because the server may have been emptied since the last.
                pipe.hset(keys.FEATURE_LAYOUTS, layout.digest, layout.json)
                for stored_at, stamp, row in rows[start : start + _ROWS_PER_PIPELINE]:
                    pipe.eval(_WRITE, 1, stored_at, f"at:{view}", _comparable(stamp), f"row:{view}", row)
                pipe.execute()

    def _layout(self, config: RepoConfig, digest: bytes) -> Layout:
        if digest not in self._layouts:
            client: Any = self.client(config)
            text = client.hget(keys.FEATURE_LAYOUTS, digest)
            if text is None:
                raise BadRow("a feature row is of a layout nobody wrote down")
            self._layouts[digest] = Layout.from_json(text)
        return self._layouts[digest]


_WRITE = """
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and stored > ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
"""
"""ARGV: field and value of the comparable stamp, then of the row. An equal stamp is the same row, recomputed."""


def layout_of(view: FeatureView) -> Layout:
    """Return the columns of a registered view."""
    return Layout(tuple((field.name, _KINDS[field.dtype]) for field in view.features))


def key(project: str, tenant: str, recipient_id: str) -> bytes:
    """Return where the rows of a recipient are, in Feast's own form of a key."""
    values = [Value(string_val=tenant), Value(string_val=recipient_id)]
    return _key(project, EntityKey(join_keys=JOIN_KEYS, entity_values=values))


def _key(project: str, entity: Any) -> bytes:
    return bytes(serialize_entity_key(entity, _KEY_VERSION)) + project.encode()


def _comparable(stamp: datetime) -> str:
    """Return microseconds since 1970 in fixed width, so that texts compare as the moments do."""
    since = stamp - _EPOCH
    return f"{(since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds:020d}"


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _frame(layout: Layout, rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    listed = list(rows)
    columns = {name: _column(kind, [_python(row[name]) for row in listed]) for name, kind in layout.columns}
    return pd.DataFrame(columns)


def _column(kind: Kind, values: list[Any]) -> pd.Series:
    if kind is Kind.MOMENT:
        return pd.to_datetime(pd.Series(values, dtype="Int64"), unit="s", utc=True)
    dtype = {Kind.INT: "Int64", Kind.FLOAT: "float64", Kind.TEXT: "object"}[kind]
    return pd.Series(values, dtype=dtype)


def _python(value: Any) -> Any:
    field = value.WhichOneof("val")
    found = getattr(value, field) if field else None
    return None if found == _NO_MOMENT and field == _FIELDS[Kind.MOMENT] else found


def _value(kind: Kind, value: Any) -> Any:
    made = Value()
    if value is not None:
        setattr(made, _FIELDS[kind], int(value.timestamp()) if kind is Kind.MOMENT else value)
    return made
