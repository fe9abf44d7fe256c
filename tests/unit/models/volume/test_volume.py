"""Levels of weekly volume at one price, and a price that paces a day."""

from itertools import product

import numpy as np
import pytest

from benchmarks import volume as bench
from domain.policy import epsilon_softmax
from models.volume import pacing, score
from models.volume.pacing import Pace


def brute_force(values: np.ndarray, total: int) -> float:
    levels = range(values.shape[1])
    fits = (each for each in product(levels, repeat=len(values)) if sum(each) <= total)
    return max(float(values[np.arange(len(values)), list(each)].sum()) for each in fits)


def test_leaving_costs_what_the_subscribed_have_over_those_who_left():
    found = score.utility(np.array([[0.0, 0.5]]), np.array([[1.0, 2.0]]), np.array([0.4]))
    assert found.tolist() == [[1.0, pytest.approx(1.2)]]


def test_a_chance_that_is_none_is_refused():
    with pytest.raises(ValueError, match="p_out: expected 0 to 1"):
        score.utility(np.array([[1.5]]), np.ones((1, 1)), np.ones(1))


def test_the_envelope_is_concave_touches_the_ends_and_is_nowhere_below():
    values = np.random.default_rng(0).normal(size=(200, 8))
    found = score.envelope(values)
    assert (np.diff(found, 2, axis=1) <= 1e-12).all()
    assert (found >= values).all()
    assert np.array_equal(found[:, [0, -1]], values[:, [0, -1]])


def test_levels_by_price_are_near_the_best_of_all_and_never_above_the_bound():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values = np.cumsum(rng.normal(0.2, 1, (5, 4)), axis=1)
        total = int(rng.integers(0, 12))
        found, best = score.assigned(values, total), brute_force(values, total)
        assert found.level.sum() <= total
        assert found.value <= best + 1e-9 <= found.bound + 2e-9


def test_concave_utilities_are_spent_exactly_best():
    values = np.cumsum(np.array([[0.0, 3.0, 1.0], [0.0, 2.0, 1.5]]), axis=1)
    found = score.assigned(values, 2)
    assert found.level.tolist() == [1, 1]
    assert found.value == brute_force(values, 2)


def test_a_volume_nobody_wants_is_not_spent():
    values = np.array([[0.0, -1.0], [0.0, 0.5]])
    found = score.assigned(values, 2)
    assert found.level.tolist() == [0, 1]
    assert found.price == 0


def test_equal_people_share_what_there_is_for_some_of_them():
    values = np.tile([0.0, 1.0], (10, 1))
    assert score.assigned(values, 4).level.sum() == 4


def test_what_highs_finds_is_no_better():
    found = bench.solver(people=300, many=1000)
    assert found["share_of_optimum"] >= 0.999


@pytest.mark.parametrize(
    ("values", "total", "named"), [([[0.0, np.nan]], 1.0, "values"), ([[0.0, 1.0]], -1.0, "total")]
)
def test_what_cannot_be_spent_is_refused_by_name(values, total, named):
    with pytest.raises(ValueError, match=f"{named}: expected"):
        score.assigned(np.array(values), total)


def test_the_price_rises_after_too_much_and_falls_after_too_little_but_not_below_nothing():
    pace = Pace(price=0.1, scale=1.0)
    assert pace.after(20, 10).price > 0.1 > pace.after(5, 10).price
    assert Pace(price=0.0, scale=1.0).after(0, 10).price == 0
    assert pace.after(0, 0) == pace
    assert pace.after(5, 0) == pace.after(1e6, 10), "nothing is left of the volume"
    assert pace.after(20, 0).price <= 10


def test_a_wild_step_counts_no_more_than_twice_the_plan():
    pace = Pace(price=0.1, scale=1.0)
    assert pace.after(1e6, 10) == pace.after(20, 10)


def test_the_plan_makes_up_for_what_is_left():
    shares = np.array([0.5, 0.25, 0.25])
    assert pacing.planned(100, shares, 0) == 50
    assert pacing.planned(30, shares, 1) == 15
    assert pacing.planned(-5, shares, 2) == 0


def test_yesterdays_values_give_the_first_price():
    assert (np.arange(100.0) > pacing.first_price(np.arange(100.0), 10)).sum() == 10
    assert pacing.first_price(np.ones(3), 10) == 0


def test_a_days_volume_is_met_within_two_percent():
    found = bench.pace(range(1))
    assert found["volume_error"] <= 0.02
    assert found["value_share"] >= 0.97


@pytest.mark.parametrize(("price", "scale", "named"), [(-1.0, 1.0, "price"), (0.0, 0.0, "scale")])
def test_a_pace_that_cannot_be_is_refused_by_name(price, scale, named):
    with pytest.raises(ValueError, match=f"{named}: expected"):
        Pace(price, scale)


def test_the_price_of_a_policy_makes_it_send_so_many():
    dice = np.random.default_rng(0)
    values = dice.lognormal(-3, 1, (300, 2))
    values[:50, 0] = -np.inf
    mine = np.array([True, False])
    price = pacing.policy_price(values, mine, 40, temperature=0.02, epsilon=0.1)
    chances = [
        epsilon_softmax([0.0, first - price, second], epsilon=0.1, temperature=0.02)[1]
        for first, second in values[50:].tolist()
    ]
    assert sum(chances) == pytest.approx(40, abs=0.01)
    assert pacing.policy_price(values, mine, 299, temperature=0.02, epsilon=0.1) == 0
    closed = pacing.policy_price(values, mine, 0, temperature=0.02, epsilon=0.1)
    assert closed == pytest.approx(values[:, 0].max() + 0.14)
