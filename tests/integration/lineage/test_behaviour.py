"""Clusters and anomalies as a night makes them: answered where too little is known, published where stable."""

import shutil
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from adapters import endpoints
from adapters.keyring import Keyring
from adapters.lake import Lake
from adapters.model_registry import CHALLENGER, CHAMPION, ModelRegistry, Registries, Version
from adapters.personal_data.lake_place import LakeFiles
from adapters.personal_data.places import Person
from adapters.postgres.engine import Database
from adapters.postgres.retention import Retention
from adapters.postgres.tenants import Tenants
from adapters.retention import Forgetter, periods_of
from adapters.secrets import SecretBox
from assets.steps import anomalies, cluster_models
from models.clusters import train
from orchestration.runs import Outcome
from tests import synthetic
from tests.installation import NEVER_ASKED, TENANT, WITHDREW, Installation

pytestmark = pytest.mark.timeout(900)
TABLES = (cluster_models.TABLE, anomalies.TABLE)


@dataclass
class Nights:
    """Nights one after another: one with too few people, one with enough, one whose clusters are not stable."""

    few: Outcome
    none_yet: Version | None
    rows_of_few: int
    stable: Outcome
    again: Outcome
    unstable: Outcome


@pytest.fixture(scope="module")
def nights(installation: Installation, habits: Outcome) -> Nights:
    """Three nights of the job, in order, with the limits that make each of them."""
    assert habits.succeeded
    few = night(installation)
    none_yet, rows = registry(installation).version(CHALLENGER), installation.lake.rows(cluster_models.TABLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "FEWEST_PEOPLE", 200)
        # Eagerness has no steps in it: more groups than the early and the late would not be found again.
        patch.setattr(train, "MOST_CLUSTERS", 2)
        stable, again = night(installation), night(installation)
        patch.setattr(train, "_stability", lambda *_: 0.5)
        patch.setattr(cluster_models, "_digest", lambda _: "0" * 64)
        unstable = night(installation)
    return Nights(few, none_yet, rows, stable, again, unstable)


def night(installation: Installation) -> Outcome:
    return installation.run("behaviour_job", days=(installation.last_day, installation.last_day))


def registry(installation: Installation) -> ModelRegistry:
    return Registries(installation.settings.mlflow_url or "").of("clusters")


def champion(installation: Installation) -> Version:
    found = registry(installation).version(CHAMPION)
    assert found is not None
    return found


def test_too_few_people_is_an_answer_on_the_page_and_registers_nothing(nights: Nights):
    assert (nights.few.succeeded, list(nights.few.held)) == (True, ["clusters_are_stable"])
    assert nights.few.assets["clusters_model"]["why"] == "not enough data: 294 people; at least 300 are needed"
    assert (nights.none_yet, nights.rows_of_few) == (None, 0)
    assert nights.few.assets["recipient_clusters"]["champion_version"] == "none"


def test_stable_clusters_are_promoted_with_where_they_come_from(installation: Installation, nights: Nights):
    assert (nights.stable.succeeded, list(nights.stable.held)) == (True, ["clusters_are_stable"])
    version = champion(installation)
    assert version.tags["dagster.run_id"] == nights.stable.run_id
    assert version.tags["dagster.asset_key"] == "clusters_model"
    assert version.tags["feast.feature_service"] == "none"
    assert nights.stable.assets["clusters_model"]["stability"] >= 0.8
    url = f"{installation.settings.mlflow_url}/api/2.0/mlflow/artifacts/list"
    found = httpx.get(url, params={"run_id": version.run_id}).json()["files"]
    assert {"card.md", "plots"} <= {each["path"] for each in found}


def test_everybody_who_allows_it_has_a_cluster_and_nobody_else(installation: Installation, nights: Nights):
    assert nights.stable.succeeded
    rows = installation.table(cluster_models.TABLE)
    assert len(rows) == len(installation.data.recipients) - NEVER_ASKED - 1
    assert set(installation.data.recipients[:NEVER_ASKED]).isdisjoint(rows["recipient_id"])
    assert WITHDREW not in set(rows["recipient_id"])
    assert set(rows["version"]) == {champion(installation).version}
    is_early = rows["recipient_id"].str[-4:].astype(int) % 2 == 1
    same = (is_early == (rows["cluster"] == rows[is_early]["cluster"].mode()[0])).mean()
    assert same > 0.9, "early and late buyers are apart, but for some who hardly buy"


def test_the_registered_version_sorts_in_mlflow_as_it_does_here(installation: Installation, nights: Nights):
    import mlflow
    import pandas as pd

    from models.clusters.registered import Scorer

    assert nights.stable.succeeded
    version = champion(installation)
    rows = pd.DataFrame([[9.0, 0, 0, 0, 3.0], [0, 0, 5.0, 5.0, 3.0]], columns=list(Scorer.features)).astype("float32")
    mlflow.set_tracking_uri(installation.settings.mlflow_url)
    theirs = mlflow.pyfunc.load_model(f"models:/clusters/{version.version}").predict(rows)
    ours = Scorer.from_files(registry(installation).files(version)).score(rows.to_numpy())
    assert list(theirs) == list(ours)


def test_the_same_people_make_no_new_version(nights: Nights):
    names = [each.assets["clusters_model"]["mlflow_model_version"] for each in (nights.stable, nights.again)]
    assert (nights.again.succeeded, names[0]) == (True, names[1])


def test_unstable_clusters_fail_their_check_with_the_number_and_the_champion_stays(
    installation: Installation, nights: Nights
):
    assert (nights.unstable.succeeded, list(nights.unstable.broken)) == (False, ["clusters_are_stable"])
    assert "recipient_clusters" not in nights.unstable.assets
    assert "anomaly_report" in nights.unstable.assets
    assert "stability 0.50; at least 0.8" in installation.messages(nights.unstable)
    challenger = registry(installation).version(CHALLENGER)
    assert challenger is not None
    assert challenger.version != champion(installation).version
    assert champion(installation).version == nights.stable.assets["clusters_champion"]["mlflow_model_version"]


def test_the_day_is_reported_with_counts_and_names_nobody(installation: Installation, nights: Nights):
    told = nights.few.assets["anomaly_report"]
    assert told["recipient_days_looked_at"] == len(installation.data.recipients) - NEVER_ASKED - 1
    rows = installation.table(anomalies.TABLE, installation.last_day)
    assert (told["rows"], told["recipients_reported"]) == (len(rows), (rows["what"] == "recipient").sum())
    assert {WITHDREW, *installation.data.recipients[:NEVER_ASKED]}.isdisjoint(rows["recipient_id"])
    for each in (nights.few, nights.stable, nights.unstable):
        assert synthetic.PREFIX not in installation.messages(each)


def test_of_the_first_days_the_report_says_what_it_lacks(installation: Installation, nights: Nights):
    assert nights.few.succeeded
    first = installation.days[0]
    early = installation.run("behaviour_job", days=(first, first), select=["anomaly_report"])
    assert (early.succeeded, early.assets["anomaly_report"]["rows"]) == (True, 0)
    assert "0 days before it; at least 7 are needed" in installation.messages(early)


def copied(installation: Installation, folder: Path) -> Lake:
    """Return a lake of its own with both tables, and somebody in each of them."""
    for table in TABLES:
        shutil.copytree(installation.lake.root / table, folder / table)
    lake, day = Lake(folder), installation.last_day
    who = lake.read(cluster_models.TABLE)["recipient_id"][0].as_py()
    row = {"tenant": TENANT, "what": anomalies.RECIPIENT, "recipient_id": who, "at": installation.data.end}
    lake.write(anomalies.TABLE, pa.Table.from_pylist([row], schema=anomalies.SCHEMA), day=day)
    return lake


def named(lake: Lake, day: date) -> list[str]:
    return [*lake.read(cluster_models.TABLE)["recipient_id"].to_pylist(), *_reported(lake, day)]


def _reported(lake: Lake, day: date) -> list[str]:
    there = lake.exists(anomalies.TABLE, day=day)
    return lake.read(anomalies.TABLE, day=day)["recipient_id"].to_pylist() if there else []


def test_an_erasure_takes_a_person_out_of_both_tables(installation: Installation, nights: Nights, tmp_path: Path):
    assert nights.stable.succeeded
    lake, day = copied(installation, tmp_path / "lake"), installation.last_day
    database = Database(endpoints.resolve(installation.settings).databases.app)
    try:
        tenant = Tenants(database, SecretBox.of(installation.settings)).get(TENANT)
    finally:
        database.close()
    before, [who] = named(lake, day), _reported(lake, day)
    assert LakeFiles(lake).without(Person(tenant, who, "erasure")) == before.count(who) == 2
    assert who not in named(lake, day)
    assert len(named(lake, day)) == len(before) - 2


class Later:
    """A clock that stands a day past the period of events."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def now(self, _tenant: object) -> datetime:
        return self.moment

    def real(self) -> datetime:
        return self.moment


@pytest.mark.parametrize("days", [-2, 3])
def test_both_tables_go_with_the_period_of_events(
    installation: Installation, nights: Nights, tmp_path: Path, days: int
):
    assert nights.stable.succeeded
    settings, lake = installation.settings, copied(installation, tmp_path / "lake")
    database = Database(endpoints.resolve(settings).databases.app, keyring=Keyring.of(settings))
    later = Later(installation.data.end + timedelta(days=settings.event_retention_days + days))
    try:
        tenants = Tenants(database, SecretBox.of(settings))
        Forgetter(Retention(database, periods_of(settings)), tenants, later, lake).files(is_dry=False)  # type: ignore[arg-type]
    finally:
        database.close()
    assert (bool(lake.rows(cluster_models.TABLE)), bool(_reported(lake, installation.last_day))) == (days < 0, days < 0)
