"""Builds what relay and consumer work with, from the settings: what ``wiring`` is for the service.

Building connects to nothing, so both start while any server is down, wait for it and say so.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from adapters.clock import Clock
from adapters.endpoints import Endpoints, NotRunning, resolve
from adapters.feature_store import FeatureStore
from adapters.keyring import Keyring
from adapters.postgres.engine import Database
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.outbox import Outbox
from adapters.postgres.tenants import Tenants
from adapters.redis.client import BACKGROUND_TIMEOUT_MS, connect
from adapters.redis.streams import EventStream
from adapters.secrets import SecretBox
from adapters.settings import Settings
from serving import logs

_CONNECTIONS = 2
_NOT_CONFIGURED = 2


@dataclass(frozen=True)
class StreamParts:
    """What both processes work with."""

    settings: Settings
    endpoints: Endpoints
    clock: Clock
    database: Database
    tenants: Tenants
    outbox: Outbox
    stream: EventStream


@contextmanager
def open_stream(settings: Settings) -> Iterator[StreamParts]:
    """Build the parts, and close what they hold at the end.

    Raises:
        NotRunning: neither the settings nor the data folder says where the servers are.
    """
    endpoints = resolve(settings)
    database = Database(endpoints.databases.app, keyring=Keyring.of(settings), pool_size=_CONNECTIONS)
    client = connect(endpoints.redis_url, timeout_ms=BACKGROUND_TIMEOUT_MS)
    try:
        yield StreamParts(
            settings=settings,
            endpoints=endpoints,
            clock=Clock(),
            database=database,
            tenants=Tenants(database, SecretBox.of(settings)),
            outbox=Outbox(database),
            stream=EventStream(client),
        )
    finally:
        client.close()
        database.close()


def event_log(parts: StreamParts) -> EventLog:
    """Return the log of events."""
    return EventLog(parts.database, EventEffects(), retention=parts.settings.event_retention)


@contextmanager
def feature_store(parts: StreamParts) -> Iterator[FeatureStore]:
    """Yield the feature store, and close it at the end."""
    store = FeatureStore.of(parts.settings, parts.endpoints)
    try:
        yield store
    finally:
        store.close()


def run(settings: Settings, work: Callable[[StreamParts], None]) -> None:
    """Do a process's work with the parts; exits with 2 when nobody says where the servers are."""
    logs.configure(settings.log_level)
    try:
        with open_stream(settings) as parts:
            work(parts)
    except NotRunning as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_NOT_CONFIGURED)
