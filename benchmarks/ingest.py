"""How many events a second come in, by file and by request, on a PostgreSQL started for the measurement.

Prints rows a second of each way and the latency of single events; ``--json`` prints them for machines. The rates are
of whatever else the machine does, too: the load average stands beside them.
"""

import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from adapters import event_import
from adapters.clock import Clock
from adapters.embedded.postgres import start_postgres
from adapters.keyring import Keyring
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.engine import Database
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from adapters.settings import Settings
from benchmarks.arguments import parsed
from domain.ingest import Counts, read
from domain.tenants import Tenant
from tests.api import KEYS, settings_for
from tests.service_process import ServiceProcess

RECIPIENTS = 2_500
DAYS = 30
_NUMBERS = itertools.count()


@dataclass
class Bench:
    """One installation to measure."""

    database: Database
    tenant: Tenant
    settings: Settings
    key: str


def main() -> None:
    """Measure and print."""
    asked = parsed(__doc__, rows=(50_000, "rows of the file"), requests=(200, "single requests"))
    with _installation() as bench:
        log = EventLog(bench.database, EventEffects(), retention=timedelta(days=365))
        _file(bench, log, 1_000)  # makes the partitions, which a first import pays for once
        result = {"what": "ingest", "file_rows_per_second": _file(bench, log, asked.rows)}
        result |= _requests(bench, asked.requests)
    result |= {
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }
    print(json.dumps(result) if asked.json else "\n".join(f"{name:24} {value}" for name, value in result.items()))


def _file(bench: Bench, log: EventLog, rows: int) -> float:
    lines = [json.dumps(_event()).encode() for _ in range(rows)]
    began = time.perf_counter()
    items = (read(line, number) for number, line in enumerate(lines, start=1))
    counts = event_import.run(log, Clock(), bench.tenant, items, origin="benchmark", progress=lambda _: None)
    seconds = time.perf_counter() - began
    if counts != Counts(received=rows, stored=rows):
        raise RuntimeError(f"not every row was stored: {counts}")
    return round(rows / seconds)


def _requests(bench: Bench, requests: int) -> dict[str, float]:
    service = ServiceProcess(bench.settings)
    service.start()
    try:
        headers = {"X-API-Key": bench.key}
        with httpx.Client(base_url=service.url, headers=headers, timeout=30, trust_env=False) as client:
            _post(client, 1, requests // 10)
            single = sorted(_post(client, 1, requests))
            batch = statistics.fmean(_post(client, 500, max(requests // 20, 5)))
    finally:
        service.kill()
    return {
        "single_p50_ms": round(1000 * statistics.median(single), 1),
        "single_p99_ms": round(1000 * single[int(0.99 * (len(single) - 1))], 1),
        "batch_500_rows_per_second": round(500 / batch),
    }


def _post(client: httpx.Client, size: int, times: int) -> list[float]:
    seconds = []
    for _ in range(times):
        body = json.dumps({"events": [_event() for _ in range(size)]}).encode()
        began = time.perf_counter()
        client.post("/v1/events", content=body, headers={"content-type": "application/json"}).raise_for_status()
        seconds.append(time.perf_counter() - began)
    return seconds


def _event() -> dict[str, Any]:
    number = next(_NUMBERS)
    moment = datetime.now(UTC) - timedelta(minutes=1 + number * 7 % (DAYS * 24 * 60))
    return {
        "source": "benchmark",
        "event_id": f"basket-{number}",
        "type": "purchase",
        "recipient_id": f"r-{number * 7919 % RECIPIENTS}",
        "occurred_at": moment.isoformat(),
        "value": {"minor": number, "currency": "USD"},
        "properties": {"category": "GROCERY", "items": 4, "departments_minor": {"GROCERY": 312, "MEAT": 111}},
    }


@contextmanager
def _installation() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = start_postgres(folder / "data", log=folder / "postgres.log")
        box = SecretBox(bytes(range(32)))
        databases = DatabaseUrls.embedded(server.admin_url, box)
        prepare(server.admin_url, databases)
        database = Database(databases.app, keyring=Keyring.given(KEYS))
        try:
            tenant, _ = Tenants(database, box).create("benchmark", display_name="benchmark")
            key = ApiKeys(database, box).issue(tenant.tenant, name="benchmark")
            yield Bench(database, tenant, settings_for(folder, databases, box), key)
        finally:
            database.close()
            server.discard()


if __name__ == "__main__":
    main()
