"""The estimators equal the peer's to the last digits, and find the truth of a world that is known."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.off_policy import estimators
from tests.decision_logs import constant, made_log

PEER = json.loads((Path(__file__).parent / "peer_values.json").read_text())
ROWS = {name: np.array(values) for name, values in PEER["rows"].items()}
WEIGHT = estimators.weights(ROWS["policy"], ROWS["action"], ROWS["probability"])
PARTS = (ROWS["policy"], ROWS["model"], ROWS["action"], WEIGHT, ROWS["reward"])

OURS = {
    "ips": lambda: estimators.ips(WEIGHT, ROWS["reward"]),
    "snips": lambda: estimators.snips(WEIGHT, ROWS["reward"]),
    "dm": lambda: estimators.direct(ROWS["policy"], ROWS["model"]),
    "dr": lambda: estimators.doubly_robust(*PARTS),
    "sndr": lambda: estimators.self_normalised_doubly_robust(*PARTS),
    "switch_dr": lambda: estimators.switch_doubly_robust(*PARTS, PEER["switch_threshold"]),
}


@pytest.mark.parametrize("name", PEER["values"])
def test_an_estimator_equals_the_peers_value(name):
    assert OURS[name]().value == pytest.approx(PEER["values"][name], abs=1e-12)


@pytest.mark.parametrize("name", PEER["values"])
def test_influences_sum_to_nothing(name):
    assert OURS[name]().influence.mean() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["ips", "snips", "dr", "sndr"])
def test_an_estimator_finds_the_truth_of_a_known_world(name):
    log, truth = made_log(60_000)
    policy = constant(log, 0.1, 0.1, 0.8)
    weight = estimators.weights(policy, log.action, log.probability)
    wrong_model = np.full(truth.shape, 0.5)
    parts = (policy, wrong_model, log.action, weight, log.reward)
    found = {
        "ips": lambda: estimators.ips(weight, log.reward),
        "snips": lambda: estimators.snips(weight, log.reward),
        "dr": lambda: estimators.doubly_robust(*parts),
        "sndr": lambda: estimators.self_normalised_doubly_robust(*parts),
    }[name]()
    assert found.value == pytest.approx((policy * truth).sum(axis=1).mean(), abs=0.01)


def test_the_effective_size_of_equal_weights_is_the_number_of_rows():
    assert estimators.effective_size(np.full(70, 2.5)) == pytest.approx(70)
    assert estimators.effective_size(np.array([1.0, 0, 0, 0])) == 1
