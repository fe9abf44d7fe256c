"""A champion that is wrong on what came of its decisions is taken out of service, once, and stays out."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import pytest
from sqlalchemy import make_url

from adapters import endpoints
from adapters.bundle import BundleInfo, BundleSigner, files_of
from adapters.bundle_shelf import BundleShelf
from adapters.keyring import Keyring
from adapters.lake import Lake
from adapters.model_registry import CHAMPION, PREVIOUS, DataSet, ModelRegistry, Training, Version
from adapters.postgres.engine import Database
from adapters.postgres.model_audit import ModelAudit
from adapters.postgres.model_outcomes import ModelOutcomes, ModelPerformance
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from assets.steps import publishing, watching
from assets.steps.watching import NothingToGoBackTo
from tests import live_decisions
from tests.installation import TENANT, Installation

pytestmark = pytest.mark.timeout(600)
MODEL = "watched"
AT = datetime(2026, 1, 1, tzinfo=UTC)
N = 400
BACK = timedelta(days=40)


class Scene:
    """Two registered versions with bundles, the newer one the champion, and somewhere to keep a table."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation = installation
        self.registry = ModelRegistry(installation.settings.mlflow_url or "", model=MODEL)
        self.shelf = BundleShelf(folder / "bundles", BundleSigner.of(SecretBox.of(installation.settings)))
        self.lake = Lake(folder / "lake")
        self.database = Database(
            endpoints.resolve(installation.settings).databases.app, keyring=Keyring.of(installation.settings)
        )
        self.owner = make_url(installation.admin_url).set(drivername="postgresql", database="kairos")
        self.tenants = Tenants(self.database, SecretBox.of(installation.settings))
        self.before, self.now = self.version(), self.version()
        self.registry.set_alias(PREVIOUS, self.before)
        self.registry.set_alias(CHAMPION, self.now)

    def version(self) -> Version:
        rows = DataSet(pd.DataFrame({"x": [1.0], "label": [0]}), "rows", "nowhere", "d" * 32, "label")
        training = Training(files={"model.json": b"{}"}, features=("x",), params={}, metrics={"auc": 0.6})
        made = self.registry.log(training, rows, run_name="watched")
        info = BundleInfo(
            model=MODEL, version=made.version, run_id=made.run_id, feature_service="s", data_digest="d", created_at=AT
        )
        self.shelf.publish(info, dict.fromkeys(files_of(MODEL), b"{}"))
        return made

    def connection(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.owner.render_as_string(hide_password=False))

    def decided(self, p: float, rate: float) -> None:
        """Let the champion promise ``p`` and the world keep ``rate``."""
        dice = np.random.default_rng(5)
        records = [live_decisions.a_record(MODEL, self.now.version, p) for _ in range(N)]
        with self.connection() as connection:
            first = self.installation.data.end - timedelta(days=30)
            live_decisions.put(connection, TENANT, records, list(dice.random(N) < rate), first=first)

    def look(self) -> watching.Seen:
        now = {TENANT: self.installation.data.end}
        batch = Database(endpoints.resolve(self.installation.settings).databases.batch)
        try:
            return watching.look(self.lake, self.registry, ModelOutcomes(batch), now)
        finally:
            batch.close()

    def champion(self) -> str | None:
        found = self.registry.version(CHAMPION)
        return found.version if found is not None else None

    def roll_back(self) -> watching.RolledBack:
        audit = ModelAudit(self.database, self.tenants)
        return watching.roll_back(self.lake, self.registry, self.shelf, audit, at=AT)

    def close(self) -> None:
        with self.connection() as connection:
            connection.execute("ALTER TABLE decision DISABLE TRIGGER USER")
            connection.execute("DELETE FROM decision WHERE record->'model'->>'name' = %s", (MODEL,))
            connection.execute("ALTER TABLE decision ENABLE TRIGGER USER")
            connection.execute("DELETE FROM event WHERE decision_id LIKE %s", (f"{MODEL}-%",))
        self.database.close()


@pytest.fixture
def scene(installation: Installation, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(installation, tmp_path)
    yield made
    made.close()


def test_a_champion_that_keeps_its_word_stays(scene: Scene):
    scene.decided(p=0.2, rate=0.2)
    seen = scene.look()
    assert (seen.version, seen.watched.n, seen.watched.alarms) == (scene.now.version, N, ())
    assert scene.roll_back().back_to is None
    assert scene.champion() == scene.now.version
    rows = scene.lake.read(watching.TABLE).to_pandas()
    assert (rows["decisions"].sum(), rows["observed"].sum()) == (N, seen.watched.positives)
    assert rows["expected"].sum() == pytest.approx(0.2 * N)


def test_a_champion_that_promises_three_times_too_much_goes_and_everybody_is_told(scene: Scene):
    scene.decided(p=0.3, rate=0.1)
    assert "observed over expected" in scene.look().watched.alarms[0]
    done = scene.roll_back()
    assert done.back_to is not None
    assert scene.champion() == scene.before.version
    bad = scene.registry.numbered(scene.now.version)
    assert "observed over expected" in bad.tags["rollback.reason"]
    finding = publishing._never_rolled_back(bad)
    assert not finding.held
    with scene.connection() as connection:
        told = connection.execute(
            "SELECT reason, detail FROM audit WHERE tenant = %s AND action = 'model.rolled_back'"
            " AND object = %s AND detail->>'from' = %s",
            (TENANT, f"model:{MODEL}", scene.now.version),
        ).fetchall()
    assert len(told) == 1
    assert told[0][1] == {"from": scene.now.version, "to": scene.before.version}
    assert scene.roll_back().back_to is None, "a second look at the same alarm changes nothing"


def test_without_a_sound_version_to_go_back_to_the_step_fails_and_says_so(scene: Scene):
    scene.decided(p=0.3, rate=0.1)
    scene.look()
    scene.registry.tag(scene.before, {"rollback.reason": "it was wrong too"})
    with pytest.raises(NothingToGoBackTo, match="was rolled back itself"):
        scene.roll_back()
    assert scene.champion() == scene.now.version


def test_a_tenant_reads_how_a_version_does_by_day_and_slice(scene: Scene):
    scene.decided(p=0.25, rate=0.25)
    tenant, end = scene.tenants.get(TENANT), scene.installation.data.end
    performance = ModelPerformance(scene.database)
    [row] = performance.of(tenant, MODEL, scene.now.version, now=end, since=end - BACK)
    assert (row["channel"], row["message_type"], row["decisions"]) == ("email", "coupon_a", N)
    assert row["expected"] == pytest.approx(0.25 * N)
    hits = row["observed"]
    expected = -(hits * np.log(0.25) + (N - hits) * np.log(0.75)) / N
    assert row["log_loss"] == pytest.approx(expected)
    [version] = [each for each in performance.versions(tenant) if each["version"] == scene.now.version]
    assert (version["name"], version["decisions"]) == (MODEL, N)
    assert json.loads(json.dumps(version["run_id"])) == "run"
