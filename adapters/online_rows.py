"""Rows of online features in Feast's own layout, encoded and decoded column by column.

Feast's general path costs 3 ms a decision and 180 ms a hundred for 150 features; this one writes and reads the same
bytes for a tenth, because it knows each column's type. A contract test holds both against each other.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pandas as pd
from feast import FeatureView
from feast.infra.online_stores.helpers import _mmh3, _redis_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Float64, Int64, String, UnixTimestamp

from adapters.redis.online_store import Row

JOIN_KEYS = ("tenant", "recipient_id")
_KEY_VERSION = 3
_NO_MOMENT = -(2**63)
"""How Feast's own writer spells a missing time stamp."""
_NULL = b""
_CACHED = 8_192
"""Numbers whose bytes are kept; most counts are small."""


@dataclass(frozen=True)
class Column:
    """One feature in Redis: its field of the recipient's hash, and how its value is written and read."""

    name: str
    field: bytes
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


@dataclass(frozen=True)
class ViewColumns:
    """The features of one registered view, in its order."""

    view: FeatureView
    columns: tuple[Column, ...]


def of_view(view: FeatureView) -> ViewColumns:
    """Return how a registered view's rows are laid out."""
    columns = (Column(field.name, _mmh3(f"{view.name}:{field.name}"), *_CODECS[field.dtype]) for field in view.features)
    return ViewColumns(view, tuple(columns))


def key(project: str, tenant: str, recipient_id: str) -> bytes:
    """Return the key of a recipient's hash, as Feast makes it."""
    return bytes(_redis_key(project, _entity(tenant, recipient_id), _KEY_VERSION))


def rows(features: pd.DataFrame, layout: ViewColumns) -> list[Row]:
    """Return a feature table's rows of one view, as Feast's online stores take them.

    Raises:
        ValueError: the table lacks a column of the view.
    """
    absent = [column.name for column in layout.columns if column.name not in features]
    if absent:
        raise ValueError(f"the feature table lacks {', '.join(absent)} of view {layout.view.name}")
    values = zip(*(_encoded(features[column.name], column) for column in layout.columns), strict=True)
    names = [column.name for column in layout.columns]
    entities = map(_entity, features["tenant"], features["recipient_id"])
    stamps = features["as_of"].dt.to_pydatetime() if features.empty else features["as_of"].tolist()
    return [
        (entity, dict(zip(names, row, strict=True)), stamp, None)
        for entity, row, stamp in zip(entities, values, stamps, strict=True)
    ]


def decoded(columns: Sequence[Column], replies: Sequence[Sequence[bytes | None]]) -> dict[str, list[Any]]:
    """Return values by feature, one for each reply; None where nothing is stored."""
    by_column = zip(*replies, strict=True)
    return {
        column.name: [column.decode(raw) if raw else None for raw in raws]
        for column, raws in zip(columns, by_column, strict=True)
    }


def _entity(tenant: str, recipient_id: str) -> EntityKey:
    values = [Value(string_val=tenant), Value(string_val=recipient_id)]
    return EntityKey(join_keys=JOIN_KEYS, entity_values=values)


def _encoded(series: pd.Series, column: Column) -> Iterator[bytes]:
    missing, encode = series.isna().tolist(), column.encode
    return (_NULL if is_missing else encode(value) for value, is_missing in zip(series.tolist(), missing, strict=True))


@lru_cache(_CACHED)
def _int(value: int) -> bytes:
    return bytes(Value(int64_val=int(value)).SerializeToString())


def _float(raw: bytes) -> float | None:
    value = float(Value.FromString(raw).double_val)
    return None if math.isnan(value) else value


def _moment(raw: bytes) -> datetime | None:
    seconds = int(Value.FromString(raw).unix_timestamp_val)
    return None if seconds == _NO_MOMENT else datetime.fromtimestamp(seconds, UTC)


_CODECS: dict[Any, tuple[Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    Int64: (_int, lambda raw: Value.FromString(raw).int64_val),
    Float64: (lambda value: Value(double_val=value).SerializeToString(), _float),
    String: (lambda value: Value(string_val=value).SerializeToString(), lambda raw: Value.FromString(raw).string_val),
    UnixTimestamp: (lambda value: Value(unix_timestamp_val=int(value.timestamp())).SerializeToString(), _moment),
}
