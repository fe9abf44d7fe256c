"""Feast's Redis online store with our client and an atomic write: a row never replaces a newer one.

Feast reads the stored stamp and writes later, so two writers can end with the older row; here the comparison is part
of the write. Keys and values are Feast's own. Imported by Feast, by name, from the store's configuration.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _mmh3, _redis_key
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.utils import make_tzaware
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import StrictInt, StrictStr
from redis import Redis

from adapters.redis.client import connect

NAME: Literal["adapters.redis.online_store.KairosOnlineStore"] = "adapters.redis.online_store.KairosOnlineStore"
_ROWS_PER_PIPELINE = 200

Row = tuple[Any, dict[str, Any], datetime, datetime | None]
"""Entity key, value by feature, event timestamp, creation timestamp; as Feast hands them over, or serialized values."""


class KairosOnlineStoreConfig(RedisOnlineStoreConfig):
    """Where the server is, and how long one command may take."""

    type: Literal["adapters.redis.online_store.KairosOnlineStore"] = NAME
    url: StrictStr
    timeout_ms: StrictInt
    full_scan_for_deletion: bool | None = False
    """Values of a removed view stay with their recipient: finding them would scan every key of the server."""


class KairosOnlineStore(RedisOnlineStore):
    """Online features in Redis; writing a row again, or an older one, changes nothing."""

    _client: Redis | None = None

    def _get_client(self, online_store_config: KairosOnlineStoreConfig) -> Redis:
        if self._client is None:
            self._client = connect(online_store_config.url, timeout_ms=online_store_config.timeout_ms)
        return self._client

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: Sequence[Row], progress: Callable[[int], Any] | None
    ) -> None:
        """Write rows whose stamp is not older than the stored one's."""
        client = self._get_client(config.online_store)
        fields = {name: _mmh3(f"{table.name}:{name}") for name in (field.name for field in table.features)}
        for start in range(0, len(data), _ROWS_PER_PIPELINE):
            rows = data[start : start + _ROWS_PER_PIPELINE]
            with client.pipeline(transaction=False) as pipe:
                for entity, values, stamp, _ in rows:
                    key = _redis_key(config.project, entity, config.entity_key_serialization_version)
                    content = [part for name, value in values.items() for part in (fields[name], value)]
                    pipe.eval(_WRITE, 1, key, *_stamps(table.name, stamp), *map(_bytes, content))
                pipe.execute()
            if progress:
                progress(len(rows))

    def read(self, config: RepoConfig, keys: Sequence[bytes], fields: Sequence[bytes]) -> list[list[bytes | None]]:
        """Return the raw values of some fields for each key, in one round trip."""
        client: Any = self._get_client(config.online_store)
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hmget(key, list(fields))
            replies: list[list[bytes | None]] = pipe.execute()
        return replies


_WRITE = """
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored and stored > ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
"""
"""ARGV: the comparable stamp's field and value, then all others. An equal stamp is the same row, recomputed."""


def _stamps(view: str, stamp: datetime) -> tuple[str, str, str, bytes]:
    """Return the comparable stamp (nanoseconds, fixed width) and Feast's own, each after its field."""
    proto = Timestamp()
    proto.FromDatetime(make_tzaware(stamp))
    return f"_at:{view}", f"{proto.ToNanoseconds():020d}", f"_ts:{view}", proto.SerializeToString()


def _bytes(part: Any) -> bytes:
    return part if isinstance(part, bytes) else part.SerializeToString()
