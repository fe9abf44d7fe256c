"""Off-policy values and uplift on real logs: the published numbers, and no gain where there is none."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from adapters.decision_log_files import read_log
from benchmarks import real_data
from models.off_policy.evaluate import evaluate
from models.off_policy.train import train
from models.uplift.learner import uplift

SHARED = Path(__file__).parents[3] / "shared/data"

open_bandit = pytest.mark.skipif(not (SHARED / "obd").is_dir(), reason="no shared data beside the checkout")
hillstrom = pytest.mark.skipif(not (SHARED / "hillstrom").is_dir(), reason="no shared data beside the checkout")


@open_bandit
def test_the_thompson_policys_value_on_the_random_log_is_the_published_one():
    log = read_log(SHARED / "obd/random_all.csv.gz")
    policy = real_data.thompson_policy(SHARED / "obd", log)
    found = evaluate(log, policy, model=np.full(policy.shape, log.reward.mean()), seed=0)
    assert found.estimates["ips"].value == pytest.approx(0.00455288, abs=1e-12)
    assert found.estimates["ips"].value / log.reward.mean() == pytest.approx(1.1981263, abs=1e-6)
    assert found.estimates["snips"].value == pytest.approx(0.00477583, abs=1e-8)
    assert found.verdict == "usable"
    assert found.gains["over_log"].low is None, "38 clicks rank no policies"


@cache
def trial(tmp):
    real_data.as_trial(SHARED / "hillstrom").to_csv(tmp / "trial.csv", index=False)
    return read_log(tmp / "trial.csv")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return trial(tmp_path_factory.mktemp("hillstrom"))


@hillstrom
def test_the_effect_of_the_womens_mail_differs_between_people(log):
    found = uplift(log, "Womens E-Mail", "No E-Mail", seed=0)
    assert found.heterogeneity == "reliable"
    assert found.qini.value > 0.04
    assert found.ate.value == pytest.approx(0.0434, abs=0.002)


@hillstrom
def test_the_effect_of_the_mens_mail_is_real_and_hardly_differs(log):
    found = uplift(log, "Mens E-Mail", "No E-Mail", seed=0)
    assert found.ate.low > 0.06
    assert found.heterogeneity == "not reliable"
    assert found.qini.value < 0.025


@hillstrom
def test_nothing_learnt_is_announced_to_beat_the_mens_mail_to_all(log):
    half = np.random.default_rng(0).random(len(log)) < 0.5
    policy = train(log.rows(half), seed=0)
    held_out = log.rows(~half)
    found = evaluate(held_out, policy.probabilities(held_out.context), seed=0)
    assert found.best_single_action == "Mens E-Mail"
    assert found.gains["over_log"].low > 0
    assert found.gains["over_best_single_action"].low < 0
    assert any('always taking "Mens E-Mail"' in warning for warning in found.warnings)


@hillstrom
def test_the_command_gives_the_same_verdicts(monkeypatch):
    monkeypatch.setattr(real_data, "DATA", SHARED)
    found = real_data.hillstrom()
    assert found["met"], found
