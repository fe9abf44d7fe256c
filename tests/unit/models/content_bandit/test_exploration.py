"""Probabilities of both modes are distributions with a floor, and what is drawn follows what is logged."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models.arm_draws import BadArms, draw_arms, floored
from models.content_bandit.bandit import ContentBandit, Outcomes, Settings
from models.content_bandit.exploration import inverse_gap, thompson
from models.content_bandit.layout import Layout

ARMS, FEATURES, FLOOR = 5, 3, 0.02
LAYOUT = Layout(("a", "b", "c"), tuple("vwxyz"), tuple((number / 5, 1 - number / 5) for number in range(ARMS)))


def a_bandit(rows=400, **settings):
    rng = np.random.default_rng(3)
    bandit = ContentBandit.fresh(LAYOUT, base_rate=0.1, settings=Settings(floor=FLOOR, **settings))
    arm = rng.integers(ARMS, size=rows)
    reward = (rng.random(rows) < 0.05 + 0.05 * arm).astype(float)
    return bandit.learned(Outcomes(rng.normal(size=(rows, FEATURES)), rng.random(rows), arm, reward))


def decisions(n, seed=5):
    rng = np.random.default_rng(seed)
    eligible = rng.random((n, ARMS)) < 0.5
    eligible[np.arange(n), rng.integers(ARMS, size=n)] = True
    return rng.normal(size=(n, FEATURES)), rng.random((n, ARMS)) * 3, eligible, [f"d{seed}-{row}" for row in range(n)]


def by_gap(bandit, context, exposure, eligible, ids):
    return bandit.probabilities(context, exposure, eligible)


def by_thompson(bandit, context, exposure, eligible, ids):
    return bandit.thompson_probabilities(context, exposure, eligible, ids)


MODES = pytest.mark.parametrize("mode", [by_gap, by_thompson])


@MODES
def test_probabilities_sum_to_1_keep_the_floor_and_let_arms_sleep(mode):
    context, exposure, eligible, ids = decisions(300)
    found = mode(a_bandit(), context, exposure, eligible, ids)
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-12
    assert (found[~eligible] == 0).all()
    least = np.broadcast_to(FLOOR / eligible.sum(axis=1, keepdims=True), found.shape)
    assert (found[eligible] >= least[eligible] - 1e-12).all()
    assert (found.max(axis=1) > 1 / eligible.sum(axis=1))[eligible.sum(axis=1) > 1].mean() > 0.9


@MODES
def test_a_decision_has_the_same_bytes_alone_again_and_after_its_state_was_written(mode):
    context, exposure, eligible, ids = decisions(40)
    bandit = a_bandit()
    together = mode(bandit, context, exposure, eligible, ids)
    read = ContentBandit.from_json(json.loads(json.dumps(bandit.as_json())))
    assert mode(read, context, exposure, eligible, ids).tobytes() == together.tobytes()
    for row in range(40):
        one = slice(row, row + 1)
        alone = mode(bandit, context[one], exposure[one], eligible[one], ids[one])
        assert alone.tobytes() == together[one].tobytes()
        assert draw_arms(alone, ids[one])[0] == draw_arms(together, ids)[row]


@MODES
def test_arms_are_drawn_as_often_as_was_logged(mode):
    """Each decision has its own vector: over all, an arm's draws less its probabilities are noise around 0."""
    context, exposure, eligible, ids = decisions(8000, seed=11)
    logged = mode(a_bandit(), context, exposure, eligible, ids)
    arm = draw_arms(logged, ids)
    assert eligible[np.arange(8000), arm].all()
    excess = (np.eye(ARMS)[arm] - logged).sum(axis=0)
    z = excess / np.sqrt((logged * (1 - logged)).sum(axis=0))
    assert np.abs(z).max() < 3.5


def test_one_vector_is_drawn_100_000_times_as_often_as_it_says():
    context, exposure, eligible, _ = decisions(1, seed=2)
    eligible[:] = [[True, True, False, True, True]]
    logged = by_gap(a_bandit(), context, exposure, eligible, [])
    ids = [f"again-{number}" for number in range(100_000)]
    counts = np.bincount(draw_arms(np.tile(logged, (100_000, 1)), ids), minlength=ARMS)
    chance = logged[0][eligible[0]]
    z = (counts[eligible[0]] - 1e5 * chance) / np.sqrt(1e5 * chance * (1 - chance))
    assert counts[2] == 0
    assert np.abs(z).max() < 3.5


def test_inverse_gap_weighting_is_its_formula():
    values = np.array([[0.05, 0.09, 0.07, 0.2]])
    eligible = np.array([[True, True, True, False]])
    first, third = 1 / (3 + 100 * 0.04), 1 / (3 + 100 * 0.02)
    plain = [first, 1 - first - third, third, 0]
    expected = [0.9 * chance + (0.1 / 3 if chance else 0) for chance in plain]
    assert inverse_gap(values, eligible, gap_weight=100, floor=0.1)[0] == pytest.approx(expected, abs=1e-15)


def test_thompson_counts_what_the_belief_says():
    """Two independent arms: the first is best with probability Phi((m1 - m2) / sqrt(s1^2 + s2^2))."""
    n = 400
    found = thompson(
        np.tile([0.3, 0.0, 9.0], (n, 1)),
        np.tile(np.diag([0.5, 0.5, 1.0]), (n, 1, 1)),
        np.tile([True, True, False], (n, 1)),
        [f"t{row}" for row in range(n)],
        draws=256,
        floor=0.0,
    )
    assert found[:, 0].mean() == pytest.approx(0.6179, abs=3.5 * np.sqrt(0.25 / (n * 256)))
    assert len({row.tobytes() for row in found}) > 20


def test_more_outcomes_make_the_bandit_explore_less():
    context, exposure, eligible, ids = decisions(50)
    bandit = a_bandit(gap_weight=50.0, gap_rows=1000.0)
    later = replace(bandit, learned_rows=100_000)
    assert later.gap_weight > 10 * bandit.gap_weight / 1.5
    assert (
        by_gap(later, context, exposure, eligible, ids).max(axis=1).mean()
        > by_gap(bandit, context, exposure, eligible, ids).max(axis=1).mean()
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"eligible": np.zeros((2, ARMS), dtype=bool)}, "at least one arm in row 0"),
        ({"eligible": np.ones((2, ARMS))}, "true or false"),
        ({"context": np.zeros((2, 2))}, "context: expected 3 features"),
        ({"exposure": -np.ones((2, ARMS))}, "exposure: expected finite numbers, at least 0"),
        ({"context": np.full((2, 3), np.nan)}, "context: expected finite numbers"),
    ],
)
def test_impossible_tables_are_refused_with_their_name(change, told):
    given = {"context": np.zeros((2, 3)), "exposure": np.zeros((2, ARMS)), "eligible": np.ones((2, ARMS), dtype=bool)}
    with pytest.raises(BadArms, match=told):
        a_bandit().probabilities(**(given | change))


def test_what_is_no_distribution_is_not_drawn_from():
    with pytest.raises(BadArms, match="sum to 1"):
        draw_arms(np.array([[0.5, 0.4]]), ["d"])
    with pytest.raises(BadArms, match="for each of 2"):
        draw_arms(np.array([[0.5, 0.5]]), ["d", "e"])


def test_too_few_posterior_draws_are_refused():
    with pytest.raises(BadArms, match="256"):
        Settings(draws=255)


def test_the_floor_is_the_uniform_policy_where_it_is_1():
    eligible = np.array([[True, False, True]])
    assert floored(np.array([[1.0, 0, 0]]), eligible, 1.0).tolist() == [[0.5, 0, 0.5]]
