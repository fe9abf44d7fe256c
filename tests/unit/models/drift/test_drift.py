"""The alarm on outcomes that no longer follow their predictions."""

import numpy as np
import pytest

from benchmarks import drift
from models.drift.score import Watch


def stream(rate: float, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(seed)
    return np.full(count, 0.05), (dice.random(count) < rate).astype(float)


def test_outcomes_as_predicted_are_silent():
    assert Watch().after(*stream(0.05, 5000)).alarm is None


@pytest.mark.parametrize(("rate", "direction"), [(0.09, "more"), (0.02, "fewer")])
def test_a_change_sounds_the_alarm_and_says_which_way(rate, direction):
    found = Watch().after(*stream(rate, 3000))
    assert found.alarm is not None
    assert found.direction == direction


def test_one_at_a_time_or_all_at_once_is_the_same():
    predicted, outcome = stream(0.09, 1500)
    once, each = Watch().after(predicted, outcome), Watch()
    for place in range(len(outcome)):
        each = each.after(predicted[place : place + 1], outcome[place : place + 1])
    assert each.alarm == once.alarm
    assert (each.more, each.fewer) == pytest.approx((once.more, once.fewer))


def test_an_alarm_stays():
    changed = Watch().after(*stream(0.2, 500))
    assert changed.after(*stream(0.05, 5000)).alarm == changed.alarm


def test_the_sums_never_fall_below_nothing_and_need_no_outcome():
    found = Watch().after(np.array([0.05]), np.array([0.0]))
    assert found.more == 0 < found.fewer
    assert found.after(np.empty(0), np.empty(0)) == found


@pytest.mark.parametrize(
    ("predicted", "outcome", "named"), [(1.0, 1.0, "predicted"), (0.5, 2.0, "outcome"), (0.5, [1.0, 0.0], "outcome")]
)
def test_what_cannot_be_is_refused_by_name(predicted, outcome, named):
    with pytest.raises(ValueError, match=f"{named}: expected"):
        Watch().after(np.array([predicted]), np.atleast_1d(outcome))


def test_five_to_nine_percent_is_noticed_within_600_and_ten_thousand_as_predicted_are_silent():
    found = drift.measure(runs=30, first_seed=0)
    assert found["met"], found
