"""How long it takes to resolve the preferences of many recipients at once, on a PostgreSQL started for it.

Every recipient has a consent and four preferences, and no profile. Measured twice: where everybody chose among the
same documents, and where no two documents are alike, so that nothing that is kept between recipients helps.

Beside it, in the same run, the floor: fetching the same rows with the bare driver, parsing and deciding nothing. The
ratio to it says what reading, checking and resolving cost on top, whatever else the machine does at the time.
``--json`` prints one object on the last line.
"""

import gc
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
from benchmarks.arguments import parsed
from domain.consent import ConsentChange, ConsentStatus
from domain.preference_scopes import Scope
from domain.tenants import Tenant
from domain.values import Channel, Purpose
from serving.decide import Decider
from serving.preference_lookup import Question, resolved_many
from tests.api import KEYS
from tests.builders import a_type

LIMIT = 1.0
"""Seconds a batch may take."""
NOW = datetime(2026, 3, 2, 17, tzinfo=UTC)
SAID: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({}, {"frequency": "immediate"}),
    ({"channel": "email"}, {"enabled": True, "windows": {"monday": [{"start": "08:00", "end": "20:00"}]}}),
    ({"category": "news"}, {"enabled": True}),
    ({"channel": "email", "category": "offers"}, {"enabled": False}),
)


def main() -> None:
    """Measure and print."""
    asked = parsed(__doc__, recipients=(10_000, "recipients in the batch"), runs=(7, "how often the batch is resolved"))
    with tempfile.TemporaryDirectory() as name, _database(Path(name)) as (database, box):
        decider = Decider(DecisionLog(database), lambda: None, Settings())
        recipients = [f"r-{number}" for number in range(asked.recipients)]
        result: dict[str, Any] = {
            "what": "preference_resolution",
            "recipients": len(recipients),
            "limit_seconds": LIMIT,
        }
        for case, are_alike in (("alike", True), ("all_different", False)):
            tenant, _ = Tenants(database, box).create(case.replace("_", "-"), display_name=case)
            MessageTypes(database).publish(tenant, [a_type()], actor="benchmark")
            _fill(database, tenant, recipients, are_alike=are_alike)
            result[case] = measure(database, decider, tenant, recipients, runs=asked.runs)
    result |= {
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }
    if not asked.json:
        for name, value in result.items():
            for part, each in value.items() if isinstance(value, dict) else (("", value),):
                print(f"{f'{name} {part}':44} {each}")
    print(json.dumps(result))


def measure(
    database: Database, decider: Decider, tenant: Tenant, recipients: list[str], *, runs: int
) -> dict[str, Any]:
    """Resolve for all recipients several times, and fetch the bare rows as often in between; seconds.

    Raises:
        RuntimeError: a recipient's preference did not win.
    """
    question = Question("news", Channel.EMAIL, NOW)
    whole, reading, cpu, floor = [], [], [], []
    # As the service does once it has started: what was loaded before is no garbage to look through.
    gc.collect()
    gc.freeze()
    for _ in range(runs):
        floor.append(_bare_rows(database, tenant, recipients))
        began, spent = time.perf_counter(), time.process_time()
        found = resolved_many(decider, tenant, recipients, question)
        whole.append(time.perf_counter() - began)
        cpu.append(time.process_time() - spent)
        began = time.perf_counter()
        decider.situations.by_recipient(tenant, recipients, question.message_type, now=NOW)
        reading.append(time.perf_counter() - began)
        if {each.enabled.rule.kind for each in found.values()} != {"category"}:
            raise RuntimeError("the preference for the category did not win everywhere")
    return {
        "preferences": len(SAID) * len(recipients),
        "seconds_floor_best": round(min(floor), 3),
        "ratio_to_floor": round(min(whole) / min(floor), 2),
        "share_of_limit": round(min(whole) / LIMIT, 2),
        "seconds_best": round(min(whole), 3),
        "seconds_median": round(statistics.median(whole), 3),
        "seconds_reading_median": round(statistics.median(reading), 3),
        "seconds_of_our_cpu_best": round(min(cpu), 3),
    }


def _bare_rows(database: Database, tenant: Tenant, recipients: list[str]) -> float:
    began = time.perf_counter()
    with database.tenant(tenant.tenant) as connection:
        for statement in _BARE:
            connection.execute(statement, {"recipient_id": recipients}).all()
    return time.perf_counter() - began


def _fill(database: Database, tenant: Tenant, recipients: list[str], *, are_alike: bool) -> None:
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
        if not are_alike:
            connection.execute(_TELL_APART)
        connection.execute(text("ANALYZE preference, consent_state, consent_head"))


_TELL_APART = text("""
UPDATE preference SET document = document || jsonb_build_object('expires_at', to_char(
    timestamp '2027-01-01' + make_interval(secs => substr(recipient_id, 3)::int), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
""")
"""Everybody's expire at a second of their own."""

_BARE = (
    text("""SELECT recipient_id, preference_id, version, document::text FROM preference
    WHERE recipient_id = ANY(CAST(:recipient_id AS text[])) AND deleted_at IS NULL"""),
    text("""SELECT recipient_id, purpose, channel, status, effective_at, expires_at FROM consent_state
    WHERE recipient_id = ANY(CAST(:recipient_id AS text[]))"""),
)

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


if __name__ == "__main__":
    main()
