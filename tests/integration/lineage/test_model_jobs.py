"""The other models, the scores of everybody, the search and the watch: each a job of its own on what one run left."""

import httpx
import pytest

from adapters.model_registry import CHALLENGER, Registries
from assets.steps import fitting, scoring_days, searching, watching
from orchestration.runs import Outcome
from tests import synthetic
from tests.installation import NEVER_ASKED, WITHDREW, Installation

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(autouse=True)
def _made(first_run: Outcome) -> None:
    assert first_run.succeeded


@pytest.fixture(scope="module")
def customers(installation: Installation, first_run: Outcome) -> Outcome:
    """The customers' models, registered once, whichever test comes first."""
    assert first_run.succeeded
    return installation.run("customers_job")


def artifacts(installation: Installation, run_id: str, path: str = "") -> set[str]:
    url = f"{installation.settings.mlflow_url}/api/2.0/mlflow/artifacts/list"
    found = httpx.get(url, params={"run_id": run_id, "path": path}).json().get("files", [])
    return {each["path"] for each in found}


def test_a_refused_or_promoted_version_carries_its_card_pictures_and_verdict(installation: Installation):
    version = installation.registry.version("champion")
    assert version is not None
    found = artifacts(installation, version.run_id)
    assert {"card.md", "gate", "plots"} <= found
    assert "gate/verdict.json" in artifacts(installation, version.run_id, "gate")
    assert "gate/drift.png" in artifacts(installation, version.run_id, "gate")
    assert installation.registry.version("shadow") == version
    assert {"data.first_day", "data.last_day"} <= version.tags.keys()


def test_every_model_is_registered_by_one_path_and_everybody_who_allows_it_is_scored(
    installation: Installation, customers: Outcome
):
    made = customers
    assert {"lifetime_value_model", "churn_model"} <= set(made.assets)
    registries = Registries(installation.settings.mlflow_url or "")
    for name in ("lifetime_value", "churn"):
        version = registries.of(name).version(CHALLENGER)
        assert version is not None
        assert version.tags["dagster.run_id"] == made.run_id
        assert {"card.md", "plots", "gate"} <= artifacts(installation, version.run_id)
        passed = version.tags["gate.passed"] == "true"
        assert (f"{name}_champion" in made.assets, version.tags["gate.reasons"] == "") == (passed, passed)
    again = installation.run("customers_job")
    assert {name: told["mlflow_model_version"] for name, told in again.assets.items()} == {
        name: told["mlflow_model_version"] for name, told in made.assets.items()
    }, "the same purchases make no new version"
    day = installation.last_day
    assert installation.run("scores_job", days=(day, day)).succeeded
    rows = installation.table(scoring_days.TABLE, day)
    engaged = rows[rows["model"] == "engagement"]
    assert len(engaged) > 200
    assert engaged["score"].between(0, 1).all()
    assert set(installation.data.recipients[:NEVER_ASKED]).isdisjoint(engaged["recipient_id"])
    assert WITHDREW not in set(engaged["recipient_id"])


@pytest.mark.usefixtures("customers")
def test_a_registered_model_scores_in_mlflow_as_it_does_here(installation: Installation):
    import mlflow
    import pandas as pd

    from models.lifetime_value.score import Scorer

    registry = Registries(installation.settings.mlflow_url or "").of("churn")
    version = registry.version(CHALLENGER)
    assert version is not None
    rows = pd.DataFrame([[3.0, 40.0, 60.0, 500.0], [0.0, 0.0, 60.0, float("nan")]], columns=list(Scorer.features))
    mlflow.set_tracking_uri(installation.settings.mlflow_url)
    theirs = mlflow.pyfunc.load_model(f"models:/churn/{version.version}").predict(rows.astype("float32"))
    ours = Scorer.from_files(registry.files(version)).score(rows.to_numpy())
    assert list(theirs) == pytest.approx(list(ours), rel=1e-5)


def test_a_search_tries_what_is_in_use_first_and_keeps_every_trial(installation: Installation):
    found = searching.find(
        installation.lake, installation.registry, cut=None, seed=fitting.SEED, trials=3, seconds=120, tags={}
    )
    assert 1 <= len(found.trials) <= 3
    assert found.loss <= found.loss_now
    assert found.trials[0].params["rounds"] == 250
    url = f"{installation.settings.mlflow_url}/api/2.0/mlflow/runs/search"
    experiment = httpx.get(
        f"{installation.settings.mlflow_url}/api/2.0/mlflow/experiments/get-by-name",
        params={"experiment_name": "kairos"},
    ).json()["experiment"]["experiment_id"]
    asked = {"experiment_ids": [experiment], "filter": f"tags.mlflow.parentRunId = '{found.run_id}'"}
    assert len(httpx.post(url, json=asked).json()["runs"]) == len(found.trials)


def test_reports_tell_of_groups_of_200_rows_and_of_drift(installation: Installation):
    made = installation.run("reports_job")
    assert made.succeeded
    rows = installation.table("out_engagement_groups")
    assert {"channel", "history"} <= set(rows["attribute"])
    assert (rows["n"] >= 200).all()
    assert (rows["per_recipient"] >= 1).all()
    assert made.assets["engagement_shift"]["rows_today"] == len(installation.data.recipients)
    assert synthetic.PREFIX not in installation.messages(made)


def test_the_watch_of_a_champion_without_outcomes_changes_nothing(installation: Installation):
    champion = installation.champion()
    outcome = installation.run("watch_job")
    assert (outcome.succeeded, list(outcome.held)) == (True, ["champion_holds_on_live_outcomes"])
    assert installation.champion() == champion
    assert installation.lake.rows(watching.TABLE) == 0
