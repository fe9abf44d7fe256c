"""How long it takes to resolve the preferences of many recipients at once, on a PostgreSQL started for it.

Every recipient has a consent and four preferences, and no profile. Prints seconds of the best and of the median
run and how much of it is reading; ``--json`` prints them for machines, on the last line. The load average stands
beside them, for the numbers are of whatever else the machine does, too.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from adapters.embedded.postgres import start_postgres
from adapters.keyring import Keyring
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.engine import Database
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from adapters.settings import Settings
from domain.consent import ConsentChange, ConsentStatus
from domain.preference_scopes import Scope
from domain.tenants import Tenant
from domain.values import Channel, Purpose
from serving.decide import Decider
from serving.preference_lookup import Question, resolved_many
from tests.api import KEYS
from tests.builders import a_type

NOW = datetime(2026, 3, 2, 17, tzinfo=UTC)
SAID: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({}, {"frequency": "immediate"}),
    ({"channel": "email"}, {"enabled": True, "windows": {"monday": [{"start": "08:00", "end": "20:00"}]}}),
    ({"category": "news"}, {"enabled": True}),
    ({"channel": "email", "category": "offers"}, {"enabled": False}),
)


def main() -> None:
    """Measure and print."""
    asked = _arguments()
    with tempfile.TemporaryDirectory() as name, _database(Path(name)) as (database, box):
        tenant, _ = Tenants(database, box).create("benchmark", display_name="benchmark")
        MessageTypes(database).publish(tenant, [a_type()], actor="benchmark")
        recipients = [f"r-{number}" for number in range(asked.recipients)]
        _fill(database, tenant, recipients)
        result = measure(Decider(DecisionLog(database), lambda: None, Settings()), tenant, recipients, runs=asked.runs)
    result |= {
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }
    print(json.dumps(result) if asked.json else "\n".join(f"{name:24} {value}" for name, value in result.items()))


def measure(decider: Decider, tenant: Tenant, recipients: list[str], *, runs: int) -> dict[str, Any]:
    """Resolve for all recipients several times; seconds.

    Raises:
        RuntimeError: a recipient's preference did not win.
    """
    question = Question("news", Channel.EMAIL, NOW)
    whole, reading, cpu = [], [], []
    for _ in range(runs):
        began, spent = time.perf_counter(), time.process_time()
        found = resolved_many(decider, tenant, recipients, question)
        whole.append(time.perf_counter() - began)
        cpu.append(time.process_time() - spent)
        began = time.perf_counter()
        decider.situations(tenant, recipients, question.message_type, now=NOW)
        reading.append(time.perf_counter() - began)
        if {each.enabled.rule.kind for each in found.values()} != {"category"}:
            raise RuntimeError("the preference for the category did not win everywhere")
    return {
        "what": "preferences",
        "recipients": len(recipients),
        "preferences": len(SAID) * len(recipients),
        "seconds_best": round(min(whole), 3),
        "seconds_median": round(statistics.median(whole), 3),
        "seconds_reading_median": round(statistics.median(reading), 3),
        "seconds_of_our_cpu_best": round(min(cpu), 3),
    }


def _fill(database: Database, tenant: Tenant, recipients: list[str]) -> None:
    given = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="benchmark", effective_at=NOW)
    for start in range(0, len(recipients), 1_000):
        changes = {recipient: [given] for recipient in recipients[start : start + 1_000]}
        ConsentStore(database).record_many(tenant, changes, actor="benchmark", now=NOW)
    with database.tenant(tenant.tenant) as connection:
        for scope, value in SAID:
            named = Scope.model_validate(scope)
            document = {"scope": named.model_dump(mode="json", exclude={"context"}), "value": value}
            row = {"tenant": tenant.tenant, "preference_id": named.id, "document": json.dumps(document)}
            connection.execute(_INSERT, row | {"recipient_id": recipients})


_INSERT = text("""
INSERT INTO preference (tenant, recipient_id, preference_id, version, document)
SELECT :tenant, recipient_id, :preference_id, 1, CAST(:document AS jsonb)
FROM unnest(CAST(:recipient_id AS text[])) AS asked (recipient_id)
""")


@contextmanager
def _database(folder: Path) -> Iterator[tuple[Database, SecretBox]]:
    server = start_postgres(folder / "data", log=folder / "postgres.log")
    box = SecretBox(bytes(range(32)))
    databases = DatabaseUrls.embedded(server.admin_url, box)
    prepare(server.admin_url, databases)
    database = Database(databases.app, keyring=Keyring.given(KEYS))
    try:
        yield database, box
    finally:
        database.close()
        server.discard()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=10_000, help="recipients in the batch (default 10000)")
    parser.add_argument("--runs", type=int, default=7, help="how often the batch is resolved (default 7)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args()


if __name__ == "__main__":
    main()
