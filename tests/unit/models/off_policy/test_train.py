"""A trained policy: simple unless more pays, explores always, and is data."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models.off_policy.encoding import MissingFeature
from models.off_policy.evaluate import evaluate
from models.off_policy.policy import BadPolicy, LearnedPolicy, draw
from models.off_policy.train import CannotTrain, train
from tests.decision_logs import made_log


@pytest.fixture(scope="module")
def personal():
    """Return a policy of a world in which who one is decides what is best, and that world."""
    log, truth = made_log(8000, base=0.3, effects=(0.0, 0.0, 0.0), by_x=0.2)
    return train(log, seed=0), log, truth


def test_a_log_without_context_effects_gives_the_simplest_policy():
    log, _ = made_log()
    policy = train(log, seed=0)
    assert policy.trained_on["learner"] == "mean"
    assert policy.probabilities(log.context)[0].argmax() == 2


def test_who_one_is_decides_where_it_pays(personal):
    policy, log, _ = personal
    assert policy.trained_on["learner"] != "mean"
    chances = policy.probabilities(log.context)
    far = np.abs(log.context["x"].to_numpy()) > 1
    assert (chances[far].argmax(axis=1) == np.where(log.context["x"][far] > 0, 0, 2)).mean() > 0.95


def test_a_trained_policy_gains_on_rows_it_never_saw(personal):
    policy, _, _ = personal
    log, truth = made_log(8000, seed=1, base=0.3, effects=(0.0, 0.0, 0.0), by_x=0.2)
    chances = policy.probabilities(log.context)
    found = evaluate(log, chances, seed=0)
    assert found.gains["over_log"].low > 0
    assert found.gains["over_best_single_action"].low > 0
    assert found.estimates["dr"].low <= (chances * truth).sum(axis=1).mean() <= found.estimates["dr"].high


def test_every_eligible_action_stays_possible_and_no_other(personal):
    policy, log, _ = personal
    eligible = np.tile([True, False, True], (len(log), 1))
    chances = policy.probabilities(log.context, eligible)
    assert (chances[:, 1] == 0).all()
    assert chances[:, [0, 2]].min() >= 0.01 - 1e-12
    assert np.abs(chances.sum(axis=1) - 1).max() < 1e-12


def test_a_policy_read_back_from_json_decides_the_same(personal):
    policy, log, _ = personal
    again = LearnedPolicy.from_json(json.loads(json.dumps(policy.as_json())))
    assert np.array_equal(again.probabilities(log.context), policy.probabilities(log.context))


def test_trees_read_back_from_json_predict_the_same():
    from models.off_policy import reward_model

    log, _ = made_log(2000)
    model = reward_model.fit(log, "trees", seed=0)
    matrix = model.encoding.matrix(log.context)
    again = reward_model.RewardModel.from_json(json.loads(json.dumps(model.as_json())))
    assert np.ptp(model.predict(matrix), axis=0).max() > 0
    assert np.array_equal(again.predict(matrix), model.predict(matrix))


@pytest.mark.parametrize("broken", [{"schema": "kairos.policy/2"}, {"actions": ["a"]}, {"floor": 0}, {"model": {}}])
def test_what_is_no_policy_is_refused(personal, broken):
    with pytest.raises(BadPolicy):
        LearnedPolicy.from_json(personal[0].as_json() | broken)


def test_a_missing_feature_is_named(personal):
    with pytest.raises(MissingFeature, match=r"context\.x"):
        personal[0].probabilities(personal[1].context.drop(columns="x"))


def test_draws_follow_the_probabilities_and_the_seed():
    chances = np.tile([0.0, 0.25, 0.75, 0.0], (40_000, 1))
    drawn = draw(chances, 5)
    assert np.array_equal(drawn, draw(chances, 5))
    assert np.bincount(drawn, minlength=4) / 40_000 == pytest.approx([0, 0.25, 0.75, 0], abs=0.01)


def test_the_same_log_and_seed_train_the_same_policy():
    log, _ = made_log(2000)
    assert train(log, seed=3).as_json() == train(log, seed=3).as_json()


def test_a_log_in_which_nothing_was_tried_trains_nothing():
    log, _ = made_log(500)
    with pytest.raises(CannotTrain, match="nothing was tried"):
        train(replace(log, probability=np.ones(len(log))), seed=0)


def test_a_log_with_false_probabilities_says_so():
    log, _ = made_log()
    doubts = train(replace(log, probability=np.full(len(log), 0.5)), seed=0).trained_on["warnings"]
    assert any("mean importance weight" in doubt for doubt in doubts)
