"""Recovering difference softmax equals its definition written out row by row, and keeps what a policy must keep."""

import json
import math

import numpy as np
import pytest

from benchmarks.planted_arms import brute_force_score, compare
from models.arm_draws import BadArms, draw_arms
from models.recovering_softmax.policy import BadState, RecoveringSoftmax, Settings, since_last
from models.recovering_softmax.sums import ArmSums

ARMS, ROUNDS = 4, 600
NAMES = tuple("vwxy")


def rounds(seed=1, n=ROUNDS):
    rng = np.random.default_rng(seed)
    eligible = rng.random((n, ARMS)) < 0.6
    eligible[np.arange(n), rng.integers(ARMS, size=n)] = True
    grown = np.exp(rng.normal(size=(n, ARMS))) * eligible
    probabilities = grown / grown.sum(axis=1, keepdims=True)
    arm = draw_arms(probabilities, [f"{seed}-{row}" for row in range(n)])
    reward = (rng.random(n) < 0.1 + 0.1 * arm).astype(float)
    return probabilities, eligible, arm, reward


def brute_force_probabilities(scores, days, eligible, gamma, tau):
    powers = {
        a: math.exp((score - gamma * (2 ** (-days[a] / 15) if math.isfinite(days[a]) else 0)) / tau)
        for a, score in enumerate(scores)
        if eligible[a]
    }
    return [powers.get(a, 0.0) / math.fsum(powers.values()) for a in range(len(scores))]


@pytest.mark.parametrize("seed", range(5))
def test_it_equals_a_brute_force_implementation(seed):
    made = rounds(seed)
    sums = ArmSums.empty(ARMS)
    for part in np.array_split(np.arange(ROUNDS), 7):
        sums = sums.added(*(column[part] for column in made))
    told = [column.tolist() for column in made]
    scores = [brute_force_score(a, *told, sigma=105.0) for a in range(ARMS)]
    assert np.abs(sums.scores() - scores).max() < 1e-12
    rng = np.random.default_rng(seed)
    days = np.where(rng.random((50, ARMS)) < 0.3, np.inf, rng.exponential(10, (50, ARMS)))
    policy = RecoveringSoftmax(NAMES, sums, Settings(floor=0.0, temperature=0.05))
    found = policy.probabilities(since_last(days), made[1][:50])
    for row in range(50):
        expected = brute_force_probabilities(scores, days[row], made[1][row], 0.017, 0.05)
        assert found[row] == pytest.approx(expected, abs=1e-12)


def test_probabilities_sum_to_1_keep_the_floor_and_let_arms_sleep():
    made = rounds()
    policy = RecoveringSoftmax(NAMES, ArmSums.empty(ARMS).added(*made))
    eligible = made[1]
    found = policy.probabilities(np.zeros(eligible.shape), eligible)
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-12
    assert (found[~eligible] == 0).all()
    least = np.broadcast_to(0.02 / eligible.sum(axis=1, keepdims=True), found.shape)
    assert (found[eligible] >= least[eligible] - 1e-12).all()


def test_arms_are_drawn_as_often_as_was_logged():
    policy = RecoveringSoftmax(NAMES, ArmSums.empty(ARMS).added(*rounds()), Settings(temperature=0.5))
    logged = policy.probabilities(np.array([[0.0, 1, 0, 2]]), np.array([[True, True, False, True]]))
    counts = np.bincount(draw_arms(np.tile(logged, (100_000, 1)), [f"r{n}" for n in range(100_000)]), minlength=ARMS)
    chance = logged[0]
    assert counts[2] == chance[2] == 0
    z = (counts - 1e5 * chance)[chance > 0] / np.sqrt(1e5 * chance * (1 - chance))[chance > 0]
    assert np.abs(z).max() < 3.5


def test_a_decision_has_the_same_bytes_alone_and_in_a_batch():
    made = rounds()
    policy = RecoveringSoftmax(NAMES, ArmSums.empty(ARMS).added(*made))
    exposure = np.random.default_rng(0).random((100, ARMS))
    together = policy.probabilities(exposure, made[1][:100])
    for row in range(100):
        alone = policy.probabilities(exposure[row : row + 1], made[1][row : row + 1])
        assert alone.tobytes() == together[row : row + 1].tobytes()


def test_an_arm_just_seen_is_avoided_and_recovers():
    policy = RecoveringSoftmax(NAMES, ArmSums.empty(ARMS))
    eligible = np.ones((4, ARMS), dtype=bool)
    days = np.full((4, ARMS), np.inf)
    days[:, 0] = [0, 15, 60, np.inf]
    first = policy.probabilities(since_last(days), eligible)[:, 0]
    assert (np.diff(first) > 0).all()
    assert first[3] == pytest.approx(0.25)


def test_an_arm_that_only_eager_recipients_get_is_not_taken_for_a_good_one():
    """Arm 0 is possible only at recipients who open five times as much, and adds nothing."""
    rng = np.random.default_rng(8)
    n = 60_000
    eager = rng.random(n) < 0.5
    eligible = np.ones((n, 3), dtype=bool)
    eligible[:, 0] = eager
    probabilities = eligible / eligible.sum(axis=1, keepdims=True)
    arm = draw_arms(probabilities, [f"e{row}" for row in range(n)])
    chance = np.where(eager, 0.5, 0.1) * np.where(arm == 1, 1.2, 1.0)
    reward = (rng.random(n) < chance).astype(float)
    raw = [reward[arm == a].mean() for a in range(3)]
    scores = ArmSums.empty(3).added(probabilities, eligible, arm, reward).scores()
    assert np.argmax(raw) == 0
    assert np.argmax(scores) == 1


def test_the_state_is_read_back_to_the_last_bit():
    policy = RecoveringSoftmax(NAMES, ArmSums.empty(ARMS).added(*rounds()))
    read = RecoveringSoftmax.from_json(json.loads(json.dumps(policy.as_json())))
    assert read.sums.table.tobytes() == policy.sums.table.tobytes()
    assert (read.arms, read.settings) == (policy.arms, policy.settings)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda state: state.update(schema="kairos.recovering_softmax/9"), "no state of schema"),
        (lambda state: state["arms"]["v"].pop("taken_w"), "taken_w"),
        (lambda state: state["arms"]["v"].update(taken_w=-1), "at least 0"),
        (lambda state: state["settings"].update(temperature=0), "above 0"),
        (lambda state: state.update(arms={}), "missing or wrong|at least one"),
    ],
)
def test_a_spoilt_state_is_refused_with_the_reason(spoil, told):
    state = RecoveringSoftmax(NAMES, ArmSums.empty(ARMS)).as_json()
    spoil(state)
    with pytest.raises(BadState, match=told):
        RecoveringSoftmax.from_json(state)


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        (0, np.array([[1.0, 0.0], [1.0, 0.5]]), "certain was not taken"),
        (0, np.array([[0.0, 1], [0.5, 0.5]]), "had no chance"),
        (2, np.array([0, 2]), "from 0 to 1"),
        (3, np.array([-1.0, 0]), "reward"),
    ],
)
def test_impossible_rounds_are_refused(column, value, told):
    given = [np.full((2, 2), 0.5), np.ones((2, 2), dtype=bool), np.array([0, 1]), np.zeros(2)]
    given[column] = value
    with pytest.raises(BadArms, match=told):
        ArmSums.empty(2).added(*given)


def test_planted_effects_are_ordered_better_than_by_raw_means():
    """Small worlds are noisy: over six of them, not in each."""
    found = [compare(seed, 100_000, judged=10_000) for seed in range(6)]
    mean = {name: np.mean([world[name] for world in found]) for name in found[0]}
    assert mean["tau"] > 0.2
    assert mean["tau"] > mean["raw_tau"]
    assert mean["gain"] > 0.3 * mean["oracle"]
