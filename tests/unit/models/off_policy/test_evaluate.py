"""What may be told from a log, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from models.off_policy.evaluate import evaluate
from tests.decision_logs import ACTIONS, constant, made_log
from tests.thorough import examples

BETTER = (0.05, 0.05, 0.9)


def judged(log, *chances):
    return evaluate(log, constant(log, *chances), seed=0)


def test_a_better_policy_is_found_better_with_the_truth_in_every_interval():
    log, truth = made_log()
    found = judged(log, *BETTER)
    value = (constant(log, *BETTER) * truth).sum(axis=1).mean()
    assert found.verdict == "usable"
    assert found.gains["over_log"].low > 0
    for name in ("ips", "snips", "dr", "sndr", "switch_dr", "dr_anytime"):
        assert found.estimates[name].low <= value <= found.estimates[name].high, name


def test_the_document_has_the_agreed_shape():
    log, _ = made_log(2000)
    told = judged(log, *BETTER).as_json()
    assert {"n", "ess", "mean_weight", "max_weight", "verdict", "warnings", "estimates"} <= told.keys()
    assert {"ips", "snips", "dm", "dr", "sndr", "switch_dr"} <= told["estimates"].keys()
    assert all(each.keys() == {"value", "low", "high"} for each in told["estimates"].values())


def test_a_policy_that_does_what_the_log_did_has_no_gain_to_tell():
    log, _ = made_log()
    found = judged(log, 0.5, 0.3, 0.2)
    assert found.verdict == "usable"
    assert any("no gain over the logged policy" in warning for warning in found.warnings)


def test_probabilities_the_log_was_not_drawn_with_are_refused():
    log, _ = made_log()
    found = judged(replace(log, probability=np.full(len(log), 1 / 3)), *BETTER)
    assert found.verdict == "refused"
    assert any("mean importance weight" in warning for warning in found.warnings)
    assert all(each.low is None for each in [*found.estimates.values(), *found.gains.values()])


@pytest.mark.parametrize("wrong", [0.0, -0.2, 1.5, np.nan, np.inf])
def test_what_is_no_probability_is_refused_and_its_row_named(wrong):
    log, _ = made_log(1000)
    probability = log.probability.copy()
    probability[7] = wrong
    found = judged(replace(log, probability=probability), *BETTER)
    assert found.verdict == "refused"
    assert found.estimates == {}
    assert any("action_probability" in warning and "row 7" in warning for warning in found.warnings)


def test_a_policy_the_log_never_follows_is_refused():
    log, _ = made_log()
    log = replace(log.rows(log.action != 2), eligible=np.ones((int((log.action != 2).sum()), 3), dtype=bool))
    found = judged(log, 0.0, 0.0, 1.0)
    assert found.verdict == "refused"
    assert any("no overlap" in warning for warning in found.warnings)


def test_a_small_effective_size_is_refused():
    log, _ = made_log(4000, logged=(0.98, 0.01, 0.01))
    found = judged(log, 0.0, 0.0, 1.0)
    assert found.verdict == "refused"
    assert any("effective sample size" in warning for warning in found.warnings)


def test_a_log_without_trying_is_refused():
    log, _ = made_log(3000, logged=(1.0, 0.0, 0.0))
    assert judged(log, 0.4, 0.3, 0.3).verdict == "refused"


def test_an_action_taken_though_not_eligible_is_refused():
    log, _ = made_log(1000)
    eligible = log.eligible.copy()
    eligible[3, log.action[3]] = False
    assert "row 3" in judged(replace(log, eligible=eligible), *BETTER).warnings[0]


def test_a_sound_log_is_refused_seldom():
    logs = examples(40, 15)
    refused = sum(judged(made_log(1500, seed=seed)[0], 0.2, 0.3, 0.5).verdict == "refused" for seed in range(logs))
    assert refused <= 0.075 * logs


def test_no_gain_is_told_from_a_handful_of_events():
    log, _ = made_log(8000, base=0.002, effects=(0.0, 0.0, 0.01))
    found = judged(log, *BETTER)
    assert found.gains["over_log"].low is None
    assert any("too few to tell" in warning for warning in found.warnings)


def test_where_nothing_has_an_effect_a_gain_is_seldom_told():
    told, logs = 0, examples(60, 24)
    for seed in range(logs):
        log, _ = made_log(2000, seed=100 + seed, effects=(0.0, 0.0, 0.0))
        low = judged(log, *BETTER).gains["over_log"].low
        told += low is not None and low > 0
    assert told <= logs / 12


def test_the_same_seed_gives_the_same_answer():
    log, _ = made_log(1500, by_x=0.05)
    assert judged(log, *BETTER).as_json() == judged(log, *BETTER).as_json()


def test_the_best_single_action_is_named():
    log, _ = made_log()
    assert judged(log, *BETTER).best_single_action == ACTIONS[2]
