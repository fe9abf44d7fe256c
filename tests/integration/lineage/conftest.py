"""A small installation of its own for the lineage: real PostgreSQL, Valkey, Feast and MLflow, one synthetic tenant."""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import httpx
import pytest

from adapters.clock import Clock
from adapters.embedded.ports import LOOPBACK, free_ports
from adapters.embedded.postgres import start_postgres
from adapters.embedded.valkey import EmbeddedValkey
from adapters.keyring import Keyring
from adapters.postgres.consent import ConsentStore
from adapters.postgres.engine import Database
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from adapters.settings import Settings, child_environment
from domain.consent import ConsentChange, ConsentStatus
from domain.tenants import Tenant
from domain.values import Purpose
from orchestration.runs import Outcome, register_features
from tests import synthetic
from tests.installation import LONG_AGO, NEVER_ASKED, TENANT, WITHDREW, WITHDREW_AT, Installation

KEY = "k" * 32
PATIENCE_SECONDS = 180


@pytest.fixture(scope="session")
def lineage_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DatabaseUrls, str]]:
    """A PostgreSQL of its own, for the lineage works for every tenant there is; and its administrator's URL."""
    folder = tmp_path_factory.mktemp("lineage-postgres")
    server = start_postgres(folder / "data", log=folder / "log")
    urls = DatabaseUrls.embedded(server.admin_url, SecretBox.of(Settings(secret_key=KEY)))
    prepare(server.admin_url, urls)
    yield urls, server.admin_url
    server.discard()


@pytest.fixture(scope="session")
def mlflow_url(lineage_servers: tuple[DatabaseUrls, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server."""
    folder = tmp_path_factory.mktemp("mlflow")
    [port] = free_ports(1)
    options = {
        "--backend-store-uri": lineage_servers[0].mlflow,
        "--artifacts-destination": folder.as_uri(),
        "--host": LOOPBACK,
        "--port": str(port),
        "--workers": "1",
    }
    words = [word for pair in options.items() for word in pair]
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "mlflow", "server", *words]
        server = subprocess.Popen(command, env=child_environment({}), stdout=log, stderr=log)
    try:
        _wait(f"http://{LOOPBACK}:{port}/health", server)
        yield f"http://{LOOPBACK}:{port}"
    finally:
        server.terminate()
        server.wait()


def _wait(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(url, timeout=2).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise RuntimeError("MLflow did not start")


@pytest.fixture(scope="session")
def installation(
    lineage_servers: tuple[DatabaseUrls, str],
    valkey: EmbeddedValkey,
    mlflow_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """Events and consents of one tenant, whose clock stands five hours after its last day; nothing is made yet."""
    urls, admin_url = lineage_servers
    data = synthetic.a_tenant()
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("installation"),
        secret_key=KEY,
        postgres_url=urls.app,
        redis_url=valkey.url,
        mlflow_url=mlflow_url,
        first_partition_date=synthetic.FIRST.date().isoformat(),
        last_partition_date=(data.end - timedelta(days=1)).date().isoformat(),
    )
    _fill(Database(urls.app, keyring=Keyring.of(settings)), SecretBox.of(settings), data)
    register_features(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Installation(settings, admin_url, data, instance)


def _fill(database: Database, box: SecretBox, data: synthetic.Synthetic) -> None:
    tenants = Tenants(database, box)
    tenants.create(TENANT, display_name=TENANT, time_zone="America/New_York", is_sandbox=True)
    stands_at = data.end + timedelta(hours=5)
    tenant = tenants.shift_clock(TENANT, (stands_at - datetime.now(UTC)).total_seconds())
    log = EventLog(database, EventEffects(), retention=timedelta(days=3650))
    items = data.items()
    for start in range(0, len(items), 1_000):
        log.append(tenant, items[start : start + 1_000], origin="test", received_at=Clock().real(), now=stands_at)
    _consent(ConsentStore(database), tenant, data, stands_at)
    database.close()


def _consent(store: ConsentStore, tenant: Tenant, data: synthetic.Synthetic, now: datetime) -> None:
    given = _change(ConsentStatus.GIVEN, LONG_AGO)
    store.record_many(tenant, {name: [given] for name in data.recipients[NEVER_ASKED:]}, actor="test", now=now)
    store.record_many(tenant, {WITHDREW: [_change(ConsentStatus.WITHDRAWN, WITHDREW_AT)]}, actor="test", now=now)


def _change(status: ConsentStatus, at: datetime) -> ConsentChange:
    return ConsentChange(purpose=Purpose.PERSONALIZATION, status=status, effective_at=at, source="test")


@pytest.fixture(scope="session")
def first_run(installation: Installation) -> Outcome:
    """The whole lineage, once, from nothing, for every day."""
    return installation.run()


@pytest.fixture(scope="session")
def habits(installation: Installation, first_run: Outcome) -> Outcome:
    """The models of habits, their rows online and their bundles, made once."""
    assert first_run.succeeded
    return installation.run("habits_job")
