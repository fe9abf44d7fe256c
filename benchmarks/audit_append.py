"""What an audit row adds to the commit it belongs to: the same change with it and without, while a sealer links.

Several writers change what many recipients allow. ``--json`` prints one object on the last line: milliseconds
of a whole transaction, with the row and without, and what the row adds at p50 and p99. PostgreSQL is started for it.
"""

import json
import os
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from adapters.embedded.postgres import start_postgres
from adapters.keyring import Keyring
from adapters.postgres import allowances, audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.audit_chain import AuditChain
from adapters.postgres.engine import Database
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from benchmarks.arguments import parsed
from domain.tenants import Tenant
from serving.sealer import SEAL_SECONDS
from tests.api import KEYS

RECIPIENTS = 500


@dataclass
class Load:
    """Writers who do the same with an audit row and without, one after the other."""

    database: Database
    tenant: Tenant
    took_ms: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})

    def write(self, writer: int, rounds: int) -> None:
        """Change one recipient after the other; nobody else's."""
        for number in range(2 * rounds):
            recipient, is_audited = f"r{writer}-{number // 2 % RECIPIENTS}", bool(number % 2)
            began = time.perf_counter()
            with self.database.tenant(self.tenant.tenant) as connection:
                allowances.touch(connection, self.tenant.tenant, [recipient])
                if is_audited:
                    entry = AuditEntry(
                        action="channel.switched_off",
                        actor="bench",
                        object="channel:email",
                        recipient_id=recipient,
                        old=True,
                        new=False,
                    )
                    audit.write(connection, self.tenant, [entry])
            self.took_ms[is_audited].append(1_000 * (time.perf_counter() - began))


def main() -> None:
    """Measure and print."""
    asked = parsed(__doc__, writers=(2, "at once"), rounds=(1_500, "commits of each writer, of each kind"))
    with tempfile.TemporaryDirectory(prefix="kairos-bench-") as folder:
        result = _measured(Path(folder), writers=asked.writers, rounds=asked.rounds)
    if not asked.json:
        for name, value in result.items():
            print(f"{name:<24} {value}")
    print(json.dumps(result))


def _measured(folder: Path, *, writers: int, rounds: int) -> dict[str, Any]:
    box = SecretBox(bytes(range(32)))
    with start_postgres(folder / "postgres", log=folder / "postgres.log") as server:
        urls = DatabaseUrls.embedded(server.admin_url, box)
        prepare(server.admin_url, urls)
        database = Database(urls.app, keyring=Keyring.given(KEYS), pool_size=writers + 1)
        tenant, _ = Tenants(database, box).create("benchmark", display_name="benchmark")
        load, stop = Load(database, tenant), threading.Event()
        sealer = threading.Thread(target=_seal, args=(AuditChain(database), tenant, stop))
        sealer.start()
        # Everybody's key is made before the clock runs: a subject gets one once.
        _rounds(load, writers, RECIPIENTS)
        load.took_ms = {True: [], False: []}
        _rounds(load, writers, rounds)
        stop.set()
        sealer.join()
        database.close()
        server.discard()
    with_row, without = (np.percentile(load.took_ms[each], [50, 99]) for each in (True, False))
    return {
        "what": "audit_append",
        "writers": writers,
        "commits_each": len(load.took_ms[True]),
        "with_row_p50_ms": round(float(with_row[0]), 2),
        "with_row_p99_ms": round(float(with_row[1]), 2),
        "without_p50_ms": round(float(without[0]), 2),
        "without_p99_ms": round(float(without[1]), 2),
        "added_p50_ms": round(float(with_row[0] - without[0]), 2),
        "added_p99_ms": round(float(with_row[1] - without[1]), 2),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _rounds(load: Load, writers: int, rounds: int) -> None:
    threads = [threading.Thread(target=load.write, args=(writer, rounds)) for writer in range(writers)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def _seal(chain: AuditChain, tenant: Tenant, stop: threading.Event) -> None:
    while not stop.wait(SEAL_SECONDS):
        chain.seal(tenant.tenant)


if __name__ == "__main__":
    main()
