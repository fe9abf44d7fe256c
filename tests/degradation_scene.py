"""A service on servers of its own, with a model that serves and features for everybody, which a test may hang or kill.

PostgreSQL, Valkey and MLflow are real; the champion is a small fitted model in a signed bundle, and MLflow says which.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from adapters.bundle import REGISTRY, BundleInfo, BundleSigner
from adapters.bundle_shelf import BundleShelf
from adapters.embedded.ports import LOOPBACK, free_port
from adapters.embedded.postgres import EmbeddedPostgres, start_postgres
from adapters.embedded.valkey import EmbeddedValkey, start_valkey
from adapters.endpoints import Endpoints
from adapters.feature_store import SERVICE, FeatureStore
from adapters.keyring import Keyring
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.consent import ConsentStore
from adapters.postgres.engine import Database
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.redis.client import connect
from adapters.secrets import SecretBox
from adapters.settings import Settings, child_environment
from domain.consent import ConsentChange, ConsentStatus
from domain.contact_budget import ContactBudget
from domain.tenants import Tenant
from domain.values import Purpose
from models.engagement import train
from serving.models import ALIAS, MODEL
from serving.wiring import open_parts
from tests.api import KEYS, serve, settings_for
from tests.builders import a_type
from tests.engagement_rows import a_dataset
from tests.feature_tables import feature_table
from tests.pausing import paused

PEOPLE = tuple(f"r{number}" for number in range(6))
PATIENCE_SECONDS = 300.0
_API = "/api/2.0/mlflow"


@dataclass
class Scene:
    """The servers, the tenant and the settings of a service on them."""

    folder: Path
    box: SecretBox
    urls: DatabaseUrls
    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    mlflow: "subprocess.Popen[bytes]"
    mlflow_url: str
    tenant: Tenant
    key: str
    settings: Settings
    features: FeatureStore

    @contextlib.contextmanager
    def serving(self) -> Iterator[httpx.Client]:
        """Run a service and yield a client with the tenant's key; who asks waits as long as a client would."""
        with serve(lambda: open_parts(self.settings)) as client:
            client.headers["Authorization"] = f"Bearer {self.key}"
            yield client

    @contextlib.contextmanager
    def hanging(self, names: Sequence[str]) -> Iterator[None]:
        """Stop some of the servers inside the block."""
        pids = {"postgres": self.postgres.pid, "valkey": self.valkey.pid, "mlflow": self.mlflow.pid}
        with ExitStack() as stack:
            for name in names:
                stack.enter_context(paused(pids[name]))
            yield

    def write_features(self, *, hours_ago: float) -> None:
        """Empty Valkey, and write everybody's features as of so long ago."""
        with connect(self.valkey.url, timeout_ms=5000) as client:
            client.flushall()
        table = feature_table(self.tenant.tenant, PEOPLE, datetime.now(UTC) - timedelta(hours=hours_ago))
        self.features.write(table)

    def recorded(self) -> dict[str, dict[str, Any]]:
        """Return the answers of every decision in PostgreSQL, by their ids."""
        database = Database(self.urls.app)
        with database.tenant(self.tenant.tenant) as connection:
            rows = connection.execute(text("SELECT decision_id, answer FROM decision")).all()
        database.close()
        assert len({row.decision_id for row in rows}) == len(rows)
        return {row.decision_id: row.answer for row in rows}

    def shadows(self, decision_id: str) -> dict[str, dict[str, Any]]:
        """Return what shadows said about a decision, by their versions."""
        database = Database(self.urls.app)
        query = "SELECT version, champion, p FROM shadow_score WHERE decision_id = :id"
        with database.tenant(self.tenant.tenant) as connection:
            rows = connection.execute(text(query), {"id": decision_id}).mappings().all()
        database.close()
        return {row["version"]: {"champion": row["champion"], "p": row["p"]} for row in rows}

    def withdrawals(self, recipient_id: str) -> int:
        """Return how often a recipient's withdrawal is on record."""
        database = Database(self.urls.app)
        query = "SELECT count(*) FROM consent_record WHERE recipient_id = :who AND status = 'withdrawn'"
        with database.tenant(self.tenant.tenant) as connection:
            found = connection.execute(text(query), {"who": recipient_id}).scalar_one()
        database.close()
        return int(found)

    def publish(self, version: str, files: dict[str, bytes]) -> Path:
        """Put a signed bundle where the service looks for it."""
        info = BundleInfo(
            model=MODEL, version=version, run_id=f"run{version}", feature_service=SERVICE, data_digest="d",
            created_at=datetime.now(UTC),
        )  # fmt: skip
        return BundleShelf(self.settings.bundle_dir / MODEL, BundleSigner.of(self.box)).publish(info, files)

    def name_champion(self, version: str, alias: str = ALIAS) -> None:
        """Let MLflow's alias name a version; it registers what it does not know."""
        with httpx.Client(base_url=self.mlflow_url, timeout=60, trust_env=False) as client:
            client.post(f"{_API}/registered-models/create", json={"name": MODEL})
            given = {"name": MODEL, "alias": alias, "version": version}
            while not client.post(f"{_API}/registered-models/alias", json=given).is_success:
                made = {"name": MODEL, "source": f"s3://nobody-reads/{MODEL}"}
                client.post(f"{_API}/model-versions/create", json=made).raise_for_status()


def eventually(check: Callable[[], object], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not check():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


@contextlib.contextmanager
def a_scene(folder: Path, box: SecretBox) -> Iterator[Scene]:
    """Start the servers, and end them after the block."""
    # MLflow first: it takes longest, and the others come up beside it.
    with (
        _mlflow(folder) as (mlflow, mlflow_url),
        start_postgres(folder / "postgres", log=folder / "postgres.log") as postgres,
        start_valkey(folder / "valkey", log=folder / "valkey.log") as valkey,
    ):
        urls = DatabaseUrls.embedded(postgres.admin_url, box)
        prepare(postgres.admin_url, urls)
        (folder / "service").mkdir()
        settings = settings_for(
            folder / "service", urls, box, redis_url=valkey.url, mlflow_url=mlflow_url, redis_timeout_ms=500,
            pulse_ms=1_000, postgres_timeout_ms=2_000, model_poll_seconds=0.2, holdout_share=0,
        )  # fmt: skip
        tenant, key = _tenant(urls, box)
        endpoints = Endpoints(databases=urls, redis_url=valkey.url, mlflow_url="", dagster_url="", api_url="")
        features = FeatureStore.of(settings, endpoints)
        features.apply()
        scene = Scene(folder, box, urls, postgres, valkey, mlflow, mlflow_url, tenant, key, settings, features)
        scene.write_features(hours_ago=1)
        scene.publish("1", {**train.fit(a_dataset(300), seed=1).to_files(), REGISTRY: features.registry_bytes()})
        eventually(lambda: mlflow.poll() is not None or _answers(f"{mlflow_url}/health"), "MLflow did not start")
        scene.name_champion("1")
        try:
            yield scene
        finally:
            features.close()
            if scene.valkey is not valkey:
                # A test started another in the place of the one it killed.
                scene.valkey.stop()
            postgres.discard()


def _tenant(urls: DatabaseUrls, box: SecretBox) -> tuple[Tenant, str]:
    database = Database(urls.app, keyring=Keyring.given(KEYS))
    # Where it is about noon now, so that no quiet hours are in the way.
    offset = 12 - datetime.now(UTC).hour
    tenant = Tenants(database, box).create("shop", display_name="Shop", time_zone=f"Etc/GMT{-offset:+d}")[0]
    receipt = a_type(type="receipt", **{"class": "transactional"})
    MessageTypes(database).publish(tenant, [a_type(), receipt], actor="test")
    ContactBudgets(database).publish(tenant, ContactBudget(), actor="test")
    purposes = (Purpose.MARKETING, Purpose.PERSONALIZATION)
    given = [ConsentChange(purpose=each, status=ConsentStatus.GIVEN, source="t") for each in purposes]
    for who in PEOPLE:
        ConsentStore(database).record(tenant, who, given, actor="test", now=datetime.now(UTC))
    key = ApiKeys(database, box).issue("shop", name="test")
    database.close()
    return tenant, key


@contextlib.contextmanager
def _mlflow(folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    options = {
        "--backend-store-uri": f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination": (folder / "artifacts").as_uri(),
        "--host": LOOPBACK, "--port": str(port), "--workers": "1",
    }  # fmt: skip
    words = [word for pair in options.items() for word in pair]
    with (folder / "mlflow.log").open("w") as log:
        command = [sys.executable, "-m", "mlflow", "server", *words]
        server = subprocess.Popen(command, env=child_environment({}), stdout=log, stderr=log)
    try:
        yield server, url
    finally:
        server.terminate()
        server.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
