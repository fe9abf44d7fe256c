"""Uplift: a planted effect is found and ordered, none is invented, and Qini is what its definition says."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from models.off_policy.log import DecisionLog
from models.uplift.learner import CannotTell, uplift
from models.uplift.qini import qini
from tests.thorough import examples


def a_trial(n=8000, *, seed=0, effect=0.1, by_x=0.15, share=0.5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    treated = rng.random(n) < share
    truth = effect + by_x * np.sign(x)
    reward = (rng.random(n) < 0.3 + treated * truth).astype(np.float64)
    log = DecisionLog(
        context=pd.DataFrame({"x": x, "noise": rng.normal(size=n)}),
        actions=("mail", "none"),
        action=np.where(treated, 0, 1),
        probability=np.where(treated, share, 1 - share),
        reward=reward,
        eligible=np.ones((n, 2), dtype=np.bool_),
        cluster=np.arange(n),
    )
    return log, truth


def asked(log, seed=0):
    return uplift(log, "mail", "none", seed=seed)


def brute_force(score, reward, treated):
    """Return the coefficient by counting, row by row; scores must differ."""

    def area(order):
        heights = [0.0]
        for k in range(1, len(order) + 1):
            first = order[:k]
            n_t, n_c = treated[first].sum(), (~treated[first]).sum()
            y_t, y_c = reward[first][treated[first]].sum(), reward[first][~treated[first]].sum()
            heights.append(y_t - (y_c * n_t / n_c if n_c else 0))
        return sum((one + other) / 2 for one, other in itertools.pairwise(heights)), heights[-1]

    found, end = area(np.argsort(-score))
    ends = {1.0: [], 0.0: [], -1.0: []}
    for row, value in enumerate(np.where(treated, reward, -reward)):
        ends[value + 0.0].append(row)
    heights, x = [0.0], [0]
    order = []
    for value in (1.0, 0.0, -1.0):
        order += ends[value]
        n_t, n_c = treated[order].sum(), (~treated[order]).sum()
        y_t, y_c = reward[order][treated[order]].sum(), reward[order][~treated[order]].sum()
        heights.append(y_t - (y_c * n_t / n_c if n_c else 0))
        x.append(len(order))
    perfect = sum((x[i + 1] - x[i]) * (heights[i] + heights[i + 1]) / 2 for i in range(3))
    chance = len(score) * end / 2
    return (found - chance) / (perfect - chance)


def test_qini_equals_counting_row_by_row():
    rng = np.random.default_rng(1)
    score, reward, treated = rng.random(60), (rng.random(60) < 0.4).astype(float), rng.random(60) < 0.5
    assert qini(score, reward, treated) == pytest.approx(brute_force(score, reward, treated), abs=1e-12)


def test_a_row_that_counts_twice_is_two_rows():
    rng = np.random.default_rng(2)
    score, reward, treated = rng.random(80), (rng.random(80) < 0.4).astype(float), rng.random(80) < 0.5
    weight = rng.integers(0, 3, 80).astype(float)
    copied = np.repeat(np.arange(80), weight.astype(int))
    assert qini(score, reward, treated, weight) == pytest.approx(qini(score[copied], reward[copied], treated[copied]))


def test_a_planted_effect_is_found_and_ordered():
    log, truth = a_trial()
    found = asked(log)
    assert found.heterogeneity == "reliable"
    assert found.ate.low <= truth.mean() <= found.ate.high
    assert np.corrcoef(found.effect, truth)[0, 1] > 0.8


def test_an_effect_that_is_the_same_for_all_is_no_heterogeneity():
    told = sum(
        asked(a_trial(3000, seed=seed, by_x=0.0)[0]).heterogeneity == "reliable" for seed in range(examples(8, 4))
    )
    assert told <= 1


def test_no_effect_is_not_told_as_one():
    found = asked(a_trial(seed=7, effect=0.0, by_x=0.0)[0])
    assert found.ate.low <= 0 <= found.ate.high
    assert any("no effect on average" in warning for warning in found.warnings)
    assert any("no reliable heterogeneity" in warning for warning in found.warnings)


def test_uneven_chances_do_not_bias_the_mean_effect():
    log, truth = a_trial(12_000, seed=3)
    rng = np.random.default_rng(9)
    x = log.context["x"].to_numpy()
    share = np.where(x > 0, 0.8, 0.2)
    treated = rng.random(len(log)) < share
    reward = (rng.random(len(log)) < 0.3 + treated * truth + 0.1 * (x > 0)).astype(np.float64)
    uneven = replace(
        log,
        action=np.where(treated, 0, 1),
        probability=np.where(treated, share, 1 - share),
        reward=reward,
    )
    found = asked(uneven)
    assert reward[treated].mean() - reward[~treated].mean() > truth.mean() + 0.1
    assert found.ate.low <= truth.mean() <= found.ate.high


def test_probabilities_the_arms_were_not_drawn_with_are_told():
    log, _ = a_trial(share=0.7)
    found = asked(replace(log, probability=np.full(len(log), 0.5)))
    assert any("mean weight of the treatment" in warning for warning in found.warnings)


def test_an_arm_with_few_rows_is_refused():
    with pytest.raises(CannotTell, match='rows took "mail"'):
        asked(a_trial(2000, share=0.02)[0])


def test_an_unknown_action_is_named():
    with pytest.raises(CannotTell, match='no action "sms"'):
        uplift(a_trial(500)[0], "sms", "none", seed=0)


def test_the_same_seed_gives_the_same_effects():
    log, _ = a_trial(2000)
    assert np.array_equal(asked(log, 4).effect, asked(log, 4).effect)
