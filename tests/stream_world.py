"""Events, relay, consumer and features on real servers, for tests that break them."""

import contextlib
import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import pandas as pd

from adapters.clock import Clock
from adapters.embedded.valkey import EmbeddedValkey
from adapters.endpoints import Endpoints
from adapters.feature_store import FeatureStore
from adapters.postgres.engine import Database
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.outbox import EVENTS, REBUILD, Outbox
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.redis.client import connect
from adapters.redis.streams import EventStream
from adapters.secrets import SecretBox
from adapters.settings import Settings, child_environment
from domain.ingest import parse
from domain.tenants import Tenant
from feature_repo.engagement.transform import from_events
from serving.consumer import Consumer
from serving.live_features import LOOKBACK, LiveFeatures
from serving.relay import Relay

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 180


class OneTenantsOutbox(Outbox):
    """The outbox without what other tests left in it."""

    def __init__(self, database: Database, tenant: str) -> None:
        super().__init__(database)
        self._tenant = tenant

    def tenants(self) -> list[str]:
        return [self._tenant]


@dataclass
class World:
    """One installation with one tenant."""

    data_dir: Path
    databases: DatabaseUrls
    database: Database
    box: SecretBox
    tenant: Tenant
    valkey: EmbeddedValkey
    clock: Clock = field(default_factory=Clock)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def settings(self) -> Settings:
        return Settings(data_dir=self.data_dir)

    @property
    def endpoints(self) -> Endpoints:
        return Endpoints(databases=self.databases, redis_url=self.valkey.url, mlflow_url="", dagster_url="", api_url="")

    @property
    def event_log(self) -> EventLog:
        return EventLog(self.database, EventEffects(), retention=timedelta(days=1095))

    @property
    def outbox(self) -> Outbox:
        return OneTenantsOutbox(self.database, self.tenant.tenant)

    def stream(self, **changes: object) -> EventStream:
        return EventStream(connect(self.valkey.url, timeout_ms=2000), **changes)

    @cached_property
    def store(self) -> FeatureStore:
        return FeatureStore.of(self.settings, self.endpoints)

    def move_to(self, valkey: EmbeddedValkey) -> None:
        """Keep stream and features in another server from now on."""
        self.store.close()
        del self.store
        self.valkey = valkey

    def now(self) -> datetime:
        return self.clock.now(self.tenant)

    def ingest(self, recipients: Sequence[str], *, type: str = "app_opened", at: datetime | None = None) -> None:  # noqa: A002
        """Store one event for each recipient, as the API would."""
        real = self.clock.real()
        occurred = (at or self.now() - timedelta(seconds=1)).isoformat()
        bodies = [
            {
                "source": "test",
                "event_id": f"e{next(self.numbers)}",
                "type": type,
                "recipient_id": recipient,
                "occurred_at": occurred,
            }
            for recipient in recipients
        ]
        items = [parse(body, position) for position, body in enumerate(bodies)]
        verdicts = self.event_log.append(self.tenant, items, origin="api", received_at=real, now=self.now())
        assert {verdict.verdict.value for verdict in verdicts} == {"stored"}

    def relay(self, **changes: object) -> Relay:
        return Relay(outbox=self.outbox, stream=self.stream(**changes), now=lambda _: self.now())

    def started_relay(self) -> Relay:
        """Return a relay that has already queued the rebuild of a new stream."""
        relay = self.relay()
        relay.step()
        return relay

    def consumer(self, **changes: object) -> Consumer:
        compute = changes.pop("compute", from_events)
        given = {
            "name": "c",
            "stream": self.stream(),
            "outbox": self.outbox,
            "features": LiveFeatures(self.event_log, changes.pop("store", None) or self.store, compute),
            "tenants": Tenants(self.database, self.box),
            "clock": self.clock,
            "claim_idle_ms": 50,
        }
        return Consumer(**{**given, **changes})

    def waiting(self) -> int:
        backlogs = [self.outbox.backlog(self.tenant.tenant, topic) for topic in (EVENTS, REBUILD)]
        return sum(backlog.waiting for backlog in backlogs)

    def drain(self, relay: Relay, consumer: Consumer) -> None:
        """Step both until nothing waits."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.waiting() or relay._stream.length():
            relay.step()
            consumer.step()
            assert time.monotonic() < deadline, f"{self.waiting()} rows still wait"

    def differences(self, recipients: Sequence[str]) -> list[str]:
        """Return the features whose online value is not what a recomputation of everything gives."""
        now = self.now()
        events = self.event_log.recent(self.tenant.tenant, recipients, now - LOOKBACK, now)
        moments = pd.DataFrame({"tenant": self.tenant.tenant, "recipient_id": sorted(recipients), "as_of": now})
        batch = from_events(events, moments.astype({"as_of": "datetime64[us, UTC]"}))
        online = pd.DataFrame(self.store.online(self.tenant.tenant, sorted(recipients)), dtype=object)
        known = [name for name in online if not name.endswith("as_of")]
        wanted = batch[known].astype(object).where(batch[known].notna(), None)
        return [name for name in known if online[name].tolist() != wanted[name].tolist()]

    def close(self) -> None:
        self.store.close()
        self.database.close()


@contextlib.contextmanager
def process(world: World, code: str) -> Iterator[subprocess.Popen[str]]:
    """Run a module or a piece of code of ours against this world; it is killed at the end."""
    environment = child_environment(
        {
            "KAIROS_DATA_DIR": str(world.data_dir),
            "KAIROS_POSTGRES_URL": world.databases.app,
            "KAIROS_REDIS_URL": world.valkey.url,
            "KAIROS_SECRET_KEY": KEY,
        }
    )
    started = subprocess.Popen(
        [sys.executable, *(["-m", code] if "\n" not in code else ["-c", code])],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield started
    finally:
        started.send_signal(signal.SIGKILL)
        started.wait()
        started.stdout.close()


KEY = "a master secret of these tests, 32+ characters"


def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait for something that happens elsewhere."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
