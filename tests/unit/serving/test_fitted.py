"""Which parameters serve: those of verified bundles, and the priors for what there is none of."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from adapters import bundle
from adapters.bundle import BundleInfo, BundleSigner
from adapters.endpoints import Endpoints
from adapters.postgres.roles import DatabaseUrls
from adapters.secrets import SecretBox
from adapters.settings import Settings
from models.channel_value import registered as channels
from models.channel_value.score import Rates
from models.fatigue import registered as weariness
from models.fatigue.spec import PRIOR, Dynamics
from models.opt_out import registered as leaving
from models.opt_out import train as opt_out
from models.opt_out.train import Hazard
from models.send_time import registered as hours
from models.send_time.spec import HOURS_OF_WEEK, POPULATION, Archetypes
from serving.fitted import PRIOR_RATES, FittedModels
from serving.models import LAST_GOOD

BOX = SecretBox(b"k" * 32)
FLAT = Archetypes(np.ones((1, HOURS_OF_WEEK)), np.ones(1), kappa=5.0)
RATES = Rates(PRIOR_RATES.rate / 2, PRIOR_RATES.strength * 2, (True,) * 6)
HAZARD = Hazard(np.array([-4.0, -5.0, -6.0, -7.0, -8.0, -9.0, 0.2]), 30, is_learnt=True)
DYNAMICS = Dynamics(4.0, -0.2, 0.15, fitted=True)


def publish(folder: Path, model: str, files: dict[str, bytes], version: str = "1") -> None:
    info = BundleInfo(
        model=model,
        version=version,
        run_id="run",
        feature_service="habits_v1",
        data_digest="d",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    folder = Settings(data_dir=folder).bundle_dir
    bundle.write(folder / model, info, files, signer=BundleSigner.of(BOX))
    (folder / model / LAST_GOOD).write_text(f'{{"version": "{version}"}}')


def models(tmp_path: Path) -> FittedModels:
    """MLflow is away, so that what served last is looked at."""
    urls = DatabaseUrls.embedded("postgresql://nobody@127.0.0.1:1/x", BOX)
    away = "http://127.0.0.1:1"
    endpoints = Endpoints(databases=urls, redis_url="", mlflow_url=away, dagster_url=away, api_url=away)
    return FittedModels.of(Settings(data_dir=tmp_path), endpoints, BOX)


def test_priors_serve_before_anything_was_published(tmp_path):
    found = models(tmp_path)
    found.poll()
    now = found.current
    assert (now.archetypes, now.rates, now.dynamics, dict(now.versions)) == (POPULATION, PRIOR_RATES, PRIOR, {})
    assert now.hazard is opt_out.PRIOR


def test_what_was_published_serves_and_its_versions_are_named(tmp_path):
    publish(tmp_path, hours.NAME, hours.to_files(FLAT), "3")
    publish(tmp_path, channels.NAME, channels.to_files(RATES), "2")
    publish(tmp_path, weariness.NAME, weariness.to_files(DYNAMICS))
    publish(tmp_path, leaving.NAME, leaving.to_files(HAZARD), "4")
    found = models(tmp_path)
    found.poll()
    now = found.current
    assert now.versions == {"send_time": "3", "channel_value": "2", "fatigue": "1", "opt_out": "4"}
    assert now.rates.rate == pytest.approx(RATES.rate)
    assert now.dynamics == DYNAMICS
    assert now.hazard.coefficients == pytest.approx(HAZARD.coefficients)
    assert now.population.log_rates == pytest.approx([0.0] * HOURS_OF_WEEK)
    assert found.current is now


@pytest.mark.parametrize("files", [{"parameters.json": b"{}"}, {"parameters.json": b'{"push": {"rate": 2}}'}])
def test_parameters_that_are_none_leave_the_prior(tmp_path, files):
    publish(tmp_path, channels.NAME, files)
    found = models(tmp_path)
    found.poll()
    assert found.current.rates is PRIOR_RATES
    assert found.current.versions == {}
