"""What a decision logs is the chance it was drawn with; and a policy of which that is untrue is found out."""

import pytest

from benchmarks import propensity
from domain import policy
from tests.thorough import examples


def test_frequencies_mean_weight_and_replays_agree_with_the_log():
    found = propensity.measure(examples(100_000, 2_000), seed=0)
    assert found["max_abs_z"] < 4
    assert found["mean_weight_low"] <= 1 <= found["mean_weight_high"]
    assert found["replay_mismatches"] == 0


@pytest.fixture
def unlogged_bonus(monkeypatch):
    """Draw one decision in four evenly, and log the probabilities of before."""
    honest = policy._drawn

    def bonus(probabilities, point):
        return int(point * 4 * len(probabilities)) if point < 0.25 else honest(probabilities, (point - 0.25) / 0.75)

    monkeypatch.setattr(policy, "_drawn", bonus)


@pytest.mark.usefixtures("unlogged_bonus")
def test_a_bonus_that_is_not_logged_is_found_out_by_its_frequencies():
    assert propensity.largest_z(propensity.cases()[0], 8000, 0) > 6


def test_a_bonus_that_is_not_logged_moves_the_mean_weight(monkeypatch):
    honest = policy._drawn
    monkeypatch.setattr(policy, "_drawn", lambda chances, point: honest(chances, point**3))
    low, high, _ = propensity.self_test(2_000, 0)
    assert not low <= 1 <= high
