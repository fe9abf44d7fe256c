"""A Feast registry that is the bytes of a verified bundle: no file is read again, nothing can be applied.

Feast runs code it finds in a registry (transformations of on-demand and stream views), so one that contains any is
refused, whoever signed it. Imported by Feast, by name, from the store's configuration.
"""

import hashlib
from pathlib import Path
from typing import Any

from feast.infra.registry.registry_store import RegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto
from feast.repo_config import RegistryConfig
from google.protobuf.message import DecodeError

NAME = "adapters.sealed_registry.SealedRegistryStore"
_CARRIES_CODE = ("on_demand_feature_views", "stream_feature_views", "validation_references", "permissions")
_opened: dict[str, bytes] = {}


class RegistryRefused(ValueError):
    """The registry is not one of ours, or carries code."""


def seal(content: bytes) -> str:
    """Keep a registry's bytes for this process and return the path by which Feast finds them.

    Raises:
        RegistryRefused: it does not parse, or carries code.
    """
    _parsed(content)
    path = hashlib.sha256(content).hexdigest()
    _opened[path] = content
    return path


def definitions_only(registry: RegistryProto) -> bytes:
    """Return a registry without what changes between two looks: the same definitions are always the same bytes."""
    kept = RegistryProto(registry_schema_version=registry.registry_schema_version)
    for kind in _DEFINITIONS:
        getattr(kept, kind).extend(sorted(getattr(registry, kind), key=_name))
        for definition in getattr(kept, kind):
            _forget(definition.meta)
            if kind == "feature_views":
                _forget(definition.spec.batch_source.meta)
    return bytes(kept.SerializeToString(deterministic=True))


_DEFINITIONS = ("projects", "entities", "data_sources", "feature_views", "feature_services")
_CHANGING = {"created_timestamp", "last_updated_timestamp", "materialization_intervals", "state"}


def _forget(meta: Any) -> None:
    for field in _CHANGING & {field.name for field in meta.DESCRIPTOR.fields}:
        meta.ClearField(field)


def _name(definition: Any) -> str:
    return str(definition.spec.name if hasattr(definition, "spec") else definition.name)


class SealedRegistryStore(RegistryStore):
    """Gives Feast the registry that was sealed under a path."""

    def __init__(self, registry_config: RegistryConfig, _repo_path: Path | None) -> None:
        self._content = _opened[registry_config.path]

    def get_registry_proto(self) -> RegistryProto:
        """Return the registry."""
        return _parsed(self._content)

    def update_registry_proto(self, registry_proto: RegistryProto) -> None:
        """Refuse: a bundle's registry is what was published.

        Raises:
            RegistryRefused: always.
        """
        raise RegistryRefused(f"a bundle's registry cannot be changed ({registry_proto.ByteSize()} bytes offered)")

    def teardown(self) -> None:
        """Do nothing; the bytes belong to the bundle."""


def _parsed(content: bytes) -> RegistryProto:
    try:
        registry: RegistryProto = RegistryProto.FromString(content)
    except DecodeError:
        raise RegistryRefused("registry.pb does not parse") from None
    if found := [kind for kind in _CARRIES_CODE if len(getattr(registry, kind))]:
        raise RegistryRefused(f"registry.pb carries what may run code: {', '.join(found)}")
    return registry
