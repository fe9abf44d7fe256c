"""Builds the parts of the service from the settings: the only module here that constructs a store.

Building connects to nothing, so the service starts while any server is down and says so.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from adapters.clock import Clock
from adapters.endpoints import resolve
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.dead_letters import DeadLetters
from adapters.postgres.engine import Database
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from adapters.settings import Settings
from serving.parts import Parts
from serving.probes import Probe


@contextmanager
def open_parts(settings: Settings) -> Iterator[Parts]:
    """Build the parts, and close what they hold at the end.

    Raises:
        NotRunning: neither the settings nor the data folder says where the servers are.
    """
    endpoints = resolve(settings)
    box = SecretBox.of(settings)
    database = Database(
        endpoints.databases.app,
        statement_timeout_ms=settings.postgres_timeout_ms,
        pool_size=settings.service_threads,
    )
    try:
        yield Parts(
            settings=settings,
            clock=Clock(),
            tenants=Tenants(database, box),
            api_keys=ApiKeys(database, box),
            event_log=EventLog(database, EventEffects(), retention=settings.event_retention),
            dead_letters=DeadLetters(database),
            probes=(Probe("postgres", database.ping, is_required=True),),
        )
    finally:
        database.close()
