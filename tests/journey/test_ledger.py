"""No acknowledged event is lost, doubled or made up, whoever is killed while events come in."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text

from adapters.embedded.postgres import EmbeddedPostgres, start_postgres
from adapters.keyring import Keyring
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.engine import Database
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tables import event
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from adapters.settings import Settings
from tests.api import settings_for
from tests.ledger import Ledger, Load, check
from tests.service_process import ServiceProcess, until

TENANT = "ledger"
BETWEEN_KILLS = 200
"""Events acknowledged before the next kill, so that it falls into the load."""


@dataclass
class World:
    """A PostgreSQL and a service of this test's own, and a client's ledger."""

    folder: Path
    settings: Settings
    server: EmbeddedPostgres
    service: ServiceProcess
    load: Load
    ledger: Ledger

    def start_postgres(self) -> None:
        self.server = start_postgres(self.folder / "data", log=self.folder / "postgres.log", port=self.server.port)

    def wait_for_more(self) -> None:
        goal = len(self.ledger.acknowledged) + BETWEEN_KILLS
        until(lambda: len(self.ledger.acknowledged) >= goal, f"{BETWEEN_KILLS} more events are acknowledged")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    box = SecretBox(b"ledger" * 6)
    server = start_postgres(tmp_path / "data", log=tmp_path / "postgres.log")
    databases = DatabaseUrls.embedded(server.admin_url, box)
    prepare(server.admin_url, databases)
    settings = settings_for(tmp_path, databases, box)
    database = Database(databases.app, keyring=Keyring.of(settings))
    Tenants(database, box).create(TENANT, display_name=TENANT)
    key = ApiKeys(database, box).issue(TENANT, name="load")
    database.close()
    service, ledger = ServiceProcess(settings), Ledger(tmp_path / "ledger.jsonl")
    load = Load(lambda: service.url, {"X-API-Key": key}, an_event, ledger)
    world = World(tmp_path, settings, server, service, load, ledger)
    service.start()
    yield world
    service.kill()
    world.server.discard()
    ledger.close()


def an_event(number: str) -> dict[str, object]:
    moment = datetime.now(UTC).date().isoformat()
    return {
        "source": "load",
        "event_id": number,
        "type": "login",
        "recipient_id": f"r-{number[-1]}",
        "occurred_at": f"{moment}T00:00:00Z",
    }


def assert_nothing_lost(world: World) -> None:
    database = Database(str(world.settings.postgres_url.get_secret_value()), keyring=Keyring.of(world.settings))
    with database.tenant(TENANT) as connection:
        stored = list(connection.execute(select(event.c.event_id)).scalars())
        announced = connection.execute(text("SELECT count(DISTINCT payload->>'event_id') FROM outbox")).scalar_one()
    books = EventLog(database, EventEffects(), retention=world.settings.event_retention).conservation(TENANT)
    database.close()
    findings = check(world.ledger, stored)
    print(findings.line, dict(world.ledger.refusals))  # noqa: T201 - shown by pytest -s
    assert (findings.lost, findings.duplicated, findings.phantom) == (set(), set(), set())
    assert findings.acknowledged > 0
    assert (books.imbalance, books.stored, announced) == (0, len(stored), len(stored))


def test_killing_the_service_under_load_loses_nothing(world: World) -> None:
    with world.load:
        for _ in range(2):
            world.wait_for_more()
            world.service.kill()
            world.service.start()
        world.wait_for_more()
    assert world.ledger.refusals[0] > 0, "no kill fell into the load"
    assert_nothing_lost(world)


def test_killing_postgres_under_load_loses_nothing_and_is_never_acknowledged(world: World) -> None:
    with world.load:
        for _ in range(2):
            world.wait_for_more()
            world.server.kill()
            until(lambda: world.service.get("/readyz") == 503, "the service says it is not ready")
            assert world.service.get("/healthz") == 200
            world.start_postgres()
            until(lambda: world.service.get("/readyz") == 200, "the service is ready again")
        world.wait_for_more()
    assert world.ledger.refusals[503] > 0, "no request met a dead PostgreSQL"
    assert set(world.ledger.refusals) <= {0, 503}
    assert_nothing_lost(world)
