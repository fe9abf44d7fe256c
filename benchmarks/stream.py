"""How long from an acknowledged event to its online features, with relay and consumer as they run in production.

Prints percentiles and their ratio to the limit of 5 seconds at 200 events a second; ``--json`` prints them for
machines. Every server is started for the measurement and removed after it.
"""

import contextlib
import importlib
import itertools
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from adapters.embedded import place
from adapters.embedded.postgres import start_postgres
from adapters.embedded.valkey import start_valkey
from adapters.endpoints import resolve
from adapters.feature_store import PROJECT, FeatureStore
from adapters.heartbeat import read as read_heartbeat
from adapters.keyring import Keyring
from adapters.postgres.engine import Database
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.redis.client import connect
from adapters.secrets import SecretBox
from adapters.settings import Settings, child_environment
from benchmarks.arguments import parsed
from domain.ingest import parse
from domain.tenants import Tenant

LIMIT_SECONDS = 5.0
"""The promise: stream to online features within this, at 200 events a second."""
SEED = 20261121
RECIPIENTS = 2_500
HISTORY = 10
"""Events each recipient has before the measurement."""
TICK_SECONDS = 0.05
PROBES_PER_SECOND = 10
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 300
ROOT = Path(__file__).parents[1]


@dataclass
class Bench:
    """One installation under load."""

    settings: Settings
    log: EventLog
    tenant: Tenant
    redis: Any
    key: Callable[[str, str, str], bytes]
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311 - load, not secrets
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def send(self, recipients: list[str], at: datetime) -> None:
        """Store one event for each recipient; returns when they are acknowledged."""
        items = [parse(self._body(recipient, at), position) for position, recipient in enumerate(recipients)]
        now = datetime.now(UTC)
        self.log.append(self.tenant, items, origin="api", received_at=now, now=now)

    def _body(self, recipient: str, at: datetime) -> dict[str, Any]:
        kind = self.dice.choice(["app_opened", "page_viewed", "purchase", "search_performed"])
        body = {"source": "bench", "event_id": f"e{next(self.numbers)}", "type": kind, "recipient_id": recipient}
        value = {"value": {"minor": self.dice.randrange(10_000), "currency": "USD"}} if kind == "purchase" else {}
        return {**body, **value, "occurred_at": at.isoformat()}

    def is_online(self, recipient: str) -> bool:
        """Tell whether a recipient has online features, by asking for the key alone."""
        return bool(self.redis.exists(self.key(PROJECT, self.tenant.tenant, recipient)))


def main() -> None:
    """Measure and print."""
    arguments = parsed(__doc__, rate=(200, "events a second"), seconds=(30.0, "how long"))
    with tempfile.TemporaryDirectory(prefix="kairos-bench-") as folder, _installation(Path(folder)) as bench:
        result = measure(bench, rate=arguments.rate, seconds=arguments.seconds)
    print(json.dumps(result) if arguments.json else _table(result))


def measure(bench: Bench, *, rate: int, seconds: float) -> dict[str, Any]:
    """Load at a constant rate and return the latencies of the probes, in milliseconds."""
    for day in range(HISTORY):
        bench.send([f"r{n}" for n in range(RECIPIENTS)], datetime.now(UTC) - timedelta(days=1 + 4 * day))
    bench.send(["warm"], datetime.now(UTC))
    _until(lambda: bench.is_online("warm") and _is_drained(bench), "the history was not handled")
    acknowledged: dict[str, float] = {}
    latencies: list[float] = []
    sending = threading.Event()
    sending.set()
    watcher = threading.Thread(target=_watch, args=(bench, acknowledged, latencies, sending))
    watcher.start()
    started = time.monotonic()
    sent = _load(bench, acknowledged, rate=rate, seconds=seconds)
    elapsed = time.monotonic() - started
    sending.clear()
    watcher.join()
    beat = read_heartbeat(bench.settings.data_dir, "consumer")
    return _summary(latencies, sent / elapsed, beat.numbers if beat else {})


def _load(bench: Bench, acknowledged: dict[str, float], *, rate: int, seconds: float) -> int:
    """Send at a constant rate, whatever the answers take; every probe is a recipient nobody knows yet."""
    per_tick, every = round(rate * TICK_SECONDS), round(1 / PROBES_PER_SECOND / TICK_SECONDS)
    started, sent = time.monotonic(), 0
    for tick in range(round(seconds / TICK_SECONDS)):
        time.sleep(max(0.0, started + tick * TICK_SECONDS - time.monotonic()))
        recipients = [f"r{bench.dice.randrange(RECIPIENTS)}" for _ in range(per_tick)]
        if tick % every == 0:
            recipients[0] = f"probe{tick}"
        bench.send(recipients, datetime.now(UTC))
        if tick % every == 0:
            acknowledged[recipients[0]] = time.monotonic()
        sent += len(recipients)
    return sent


def _watch(bench: Bench, acknowledged: dict[str, float], latencies: list[float], sending: threading.Event) -> None:
    deadline = None
    while sending.is_set() or acknowledged:
        for recipient, at in list(acknowledged.items()):
            if bench.is_online(recipient):
                latencies.append(1000 * (time.monotonic() - at))
                del acknowledged[recipient]
        if not sending.is_set():
            deadline = deadline or time.monotonic() + PATIENCE_SECONDS
            if time.monotonic() > deadline:
                latencies.extend([1000.0 * PATIENCE_SECONDS] * len(acknowledged))
                return
        time.sleep(POLL_SECONDS)


def _is_drained(bench: Bench) -> bool:
    beat = read_heartbeat(bench.settings.data_dir, "relay")
    return beat is not None and beat.numbers.get("waiting_events", 1) + beat.numbers.get("waiting_rebuild", 1) == 0


@contextlib.contextmanager
def _installation(folder: Path) -> Iterator[Bench]:
    settings = Settings(data_dir=folder / "data")
    settings.data_dir.mkdir()
    with (
        start_postgres(folder / "postgres", log=folder / "postgres.log") as postgres,
        start_valkey(folder / "valkey", log=folder / "valkey.log") as valkey,
    ):
        box = SecretBox.of(settings)
        urls = DatabaseUrls.embedded(postgres.admin_url, box)
        prepare(postgres.admin_url, urls)
        named = Settings(data_dir=settings.data_dir, postgres_url=urls.app, redis_url=valkey.url)
        store = FeatureStore.of(named, resolve(named))
        store.apply()
        store.close()
        # Only after the store has loaded Feast, whose import has side effects it takes care of.
        key = importlib.import_module("adapters.redis.online_store").key
        database = Database(urls.app, keyring=Keyring.of(settings))
        tenant = Tenants(database, box).create("bench", display_name="bench")[0]
        log = EventLog(database, EventEffects(), retention=timedelta(days=365))
        client = connect(valkey.url, timeout_ms=2000)
        try:
            with _process(named, "relay", folder), _process(named, "consumer", folder):
                yield Bench(named, log, tenant, client, key)
        finally:
            client.close()
            database.close()
    # As root PostgreSQL may live outside the folder, where nobody else would clean up.
    place.remove(folder / "postgres")


@contextlib.contextmanager
def _process(settings: Settings, name: str, folder: Path) -> Iterator[None]:
    secrets = {"KAIROS_POSTGRES_URL": settings.postgres_url, "KAIROS_REDIS_URL": settings.redis_url}
    environment = {key: value.get_secret_value() for key, value in secrets.items() if value is not None}
    environment["KAIROS_DATA_DIR"] = str(settings.data_dir)
    with (folder / f"{name}.log").open("wb") as log:
        argv = [sys.executable, "-m", f"serving.{name}"]
        running = subprocess.Popen(argv, env=child_environment(environment), cwd=ROOT, stdout=log, stderr=log)  # noqa: S603
        try:
            yield
        finally:
            running.terminate()
            running.wait()


def _until(is_so: Any, problem: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(problem)
        time.sleep(POLL_SECONDS)


def _summary(latencies: list[float], rate: float, numbers: dict[str, float]) -> dict[str, Any]:
    p50, p95, p99 = (float(np.percentile(latencies, p)) for p in (50, 95, 99))
    return {
        "what": "stream",
        "events_per_second": round(rate, 1),
        "probes": len(latencies),
        "p50_ms": round(p50, 1),
        "p95_ms": round(p95, 1),
        "p99_ms": round(p99, 1),
        "max_ms": round(max(latencies), 1),
        "limit_ms": 1000 * LIMIT_SECONDS,
        "p99_to_limit": round(p99 / (1000 * LIMIT_SECONDS), 3),
        "dead": numbers.get("dead", 0),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "seed": SEED,
    }


def _table(result: dict[str, Any]) -> str:
    return "\n".join(f"{name:20} {value}" for name, value in result.items())


if __name__ == "__main__":
    main()
