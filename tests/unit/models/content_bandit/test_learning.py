"""Learning finds what is there, in batches of any size; forgets; and finds nothing where nothing is."""

import copy
import json

import numpy as np
import pytest
from scipy.optimize import minimize

from benchmarks.content_policies import Bandit, Thompson, Uniform, fresh
from benchmarks.content_world import ContentWorld
from models.arm_draws import BadArms
from models.content_bandit.bandit import BadState, ContentBandit, Outcomes, Settings, scaled_spread
from models.content_bandit.layout import Layout, PriorSpread
from models.content_bandit.posterior import Posterior, log_evidence
from models.off_policy import estimators
from models.off_policy.intervals import fixed
from tests.thorough import examples

LAYOUT = Layout(("a", "b"), ("v", "w", "x"), ((0.0, 1.0), (1.0, 0.0), (0.5, 0.5)))


def outcomes(n, seed=1, strength=1.0):
    rng = np.random.default_rng(seed)
    context, arm = rng.normal(size=(n, 2)), rng.integers(3, size=n)
    score = -2 + strength * (0.4 * arm + 0.6 * context[:, 0] * (arm == 2))
    reward = (rng.random(n) < 1 / (1 + np.exp(-score))).astype(float)
    return Outcomes(context, rng.random(n), arm, reward)


def some(made, rows):
    return Outcomes(made.context[rows], made.exposure[rows], made.arm[rows], made.reward[rows])


def a_bandit(**settings):
    return ContentBandit.fresh(LAYOUT, base_rate=0.12, settings=Settings(**settings))


def test_scores_are_the_product_of_features_and_coefficients():
    rng = np.random.default_rng(0)
    weights, context, exposure = rng.normal(size=LAYOUT.size), rng.normal(size=(7, 2)), rng.random((7, 3))
    assert LAYOUT.size == 1 + 2 + 3 + 6 + 4 + 1
    whole = LAYOUT.all_rows(context, exposure)
    assert np.abs(whole @ weights - LAYOUT.scores(weights, context, exposure)).max() < 1e-12
    one = [1, *context[4], 0, 1, 0, 0, 0, *context[4], 0, 0]
    one += [*(context[4][0] * np.array([1.0, 0])), *(context[4][1] * np.array([1.0, 0])), exposure[4, 1] / 5]
    assert whole[4, 1] == pytest.approx(one)


def test_a_batch_moves_the_mean_to_the_mode_that_a_general_optimiser_finds():
    made = outcomes(500)
    start = a_bandit().posterior
    rows = LAYOUT.rows(made.context, made.exposure, made.arm)
    learned = start.learned(rows, made.reward)
    found = minimize(lambda mean: -start.log_joint(rows, made.reward, mean), start.mean, tol=1e-12)
    assert np.abs(learned.mean - found.x).max() < 1e-4
    assert np.linalg.eigvalsh(learned.precision - start.precision).min() > -1e-9


def test_ten_micro_batches_find_nearly_what_one_batch_finds():
    made = outcomes(5000)
    once = a_bandit().learned(made)
    slowly = a_bandit()
    for part in np.array_split(np.arange(5000), 10):
        slowly = slowly.learned(some(made, part))
    assert slowly.learned_rows == once.learned_rows == 5000
    width = np.sqrt(np.diag(np.linalg.inv(once.posterior.precision)))
    assert (np.abs(slowly.posterior.mean - once.posterior.mean) / width).max() < 0.25


def test_a_batch_far_from_the_belief_still_converges():
    rows = np.ones((4000, 1)) * 6.0
    belief = Posterior.of_prior(np.array([3.0]), np.array([0.01])).learned(rows, np.zeros(4000))
    assert np.isfinite(belief.mean).all()
    assert belief.mean[0] < -0.5


def test_without_outcomes_a_bandit_that_forgets_returns_to_its_prior():
    learned = a_bandit(daily_retention=0.9).learned(outcomes(2000))
    nothing = some(outcomes(1), slice(0, 0))
    later = learned.learned(nothing, elapsed_days=400)
    assert np.abs(learned.posterior.mean - learned.posterior.prior_mean).max() > 0.2
    assert np.abs(later.posterior.mean - later.posterior.prior_mean).max() < 1e-6
    assert np.abs(later.posterior.precision - np.diag(later.posterior.prior_precision)).max() < 1e-6


def test_a_bandit_that_forgets_nothing_is_not_changed_by_time():
    learned = a_bandit().learned(outcomes(200))
    later = learned.learned(some(outcomes(1), slice(0, 0)), elapsed_days=400)
    assert later.as_json() == learned.as_json()


def test_what_changed_is_learnt_sooner_by_a_bandit_that_forgets():
    before, after = outcomes(4000), outcomes(1500, seed=2, strength=-1.0)
    keeps, forgets = (a_bandit(daily_retention=share).learned(before) for share in (1.0, 0.9))
    context, exposure = np.array([[1.0, 0.0]]), np.zeros((1, 3))
    keeps, forgets = (bandit.learned(after, elapsed_days=10) for bandit in (keeps, forgets))
    truth = 1 / (1 + np.exp(2 + 0.8 + 0.6))
    wrong = [abs(bandit.expected(context, exposure)[0, 2] - truth) for bandit in (keeps, forgets)]
    assert wrong[1] < wrong[0]


def test_empirical_bayes_widens_for_strong_effects_and_narrows_for_none():
    start = PriorSpread()
    strong = scaled_spread(LAYOUT, outcomes(8000, strength=3.0), base_rate=0.2)
    none = scaled_spread(LAYOUT, outcomes(8000, strength=0.0), base_rate=0.12)
    assert strong.arm > start.arm > none.arm
    assert strong.intercept == none.intercept == start.intercept


def test_the_evidence_of_one_coefficient_is_its_integral():
    rng = np.random.default_rng(4)
    rewards = (rng.random(60) < 0.3).astype(float)
    prior = Posterior.of_prior(np.array([-1.0]), np.array([4.0]))
    grid = np.linspace(-5, 4, 20_001)
    score = grid * rewards.sum() - 60 * np.logaddexp(0, grid)
    density = np.exp(-2 * (grid + 1) ** 2) * np.sqrt(4 / (2 * np.pi))
    exact = np.log(np.trapezoid(np.exp(score) * density, grid))
    assert log_evidence(prior, np.ones((60, 1)), rewards) == pytest.approx(exact, abs=0.01)


def test_the_state_is_read_back_to_the_last_bit():
    bandit = a_bandit(daily_retention=0.995, gap_rows=5e4).learned(outcomes(300))
    text = json.dumps(bandit.as_json(), allow_nan=False)
    read = ContentBandit.from_json(json.loads(text))
    assert json.dumps(read.as_json()) == text
    assert read.posterior.precision.tobytes() == bandit.posterior.precision.tobytes()
    more = outcomes(100, seed=9)
    assert read.learned(more).posterior.mean.tobytes() == bandit.learned(more).posterior.mean.tobytes()


def cut(state):
    state["mean"] = state["mean"][:-1]


def negative(state):
    state["precision_lower"] = [-number for number in state["precision_lower"]]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda state: state.update(schema="kairos.content_bandit/0"), "no state of schema"),
        (lambda state: state.pop("mean"), "mean"),
        (cut, "expected 17 numbers"),
        (negative, "missing or wrong"),
        (lambda state: state["settings"].update(floor=0), "floor"),
        (lambda state: state["settings"].update(other=1), "other"),
        (lambda state: state["layout"].update(arms=["v", "v", "x"]), "all different"),
        (lambda state: state.update(learned_rows=-1), "learned_rows"),
    ],
)
def test_a_spoilt_state_is_refused_with_the_reason(spoil, told):
    state = copy.deepcopy(a_bandit().as_json())
    spoil(state)
    with pytest.raises(BadState, match=told):
        ContentBandit.from_json(state)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"reward": np.array([0.0, 2.0])}, "rewards: expected numbers from 0 to 1"),
        ({"reward": np.array([0.0, np.nan])}, "rewards"),
        ({"arm": np.array([0, 3])}, "arm: expected indices from 0 to 2"),
        ({"exposure": np.zeros(3)}, "expected one for each of 2"),
        ({"context": np.zeros((2, 5))}, "context"),
    ],
)
def test_impossible_outcomes_are_refused_with_their_name(change, told):
    given = {"context": np.zeros((2, 2)), "exposure": np.zeros(2), "arm": np.array([0, 1]), "reward": np.zeros(2)}
    with pytest.raises(BadArms, match=told):
        a_bandit().learned(Outcomes(**(given | change)))


@pytest.mark.parametrize("policy", [Bandit, Thompson])
def test_learning_beats_the_uniform_policy_where_there_is_something_to_learn(policy):
    found = []
    for seed in range(examples(3, 1)):
        worlds = [ContentWorld(seed, recipients=300, arms=6, base=0.15, effect=2.5) for _ in range(2)]
        players = (policy(fresh(worlds[0])), Uniform())
        ours, uniform = (world.play(player, 14)[7:].mean() for world, player in zip(worlds, players, strict=True))
        found.append(ours / uniform - 1)
    assert min(found) > 0.05


def announced(effect, logs, n=1500):
    """Return how many logs announce that a bandit learnt on their first half beats the uniform policy on the second."""
    wins = 0
    for seed in range(logs):
        rng = np.random.default_rng(seed)
        context, arm, exposure = rng.normal(size=(n, 2)), rng.integers(3, size=n), np.zeros((n, 3))
        reward = (rng.random(n) < 0.2 + effect * (arm == 2)).astype(float)
        half = n // 2
        learned = a_bandit().learned(some(Outcomes(context, exposure[:, 0], arm, reward), slice(0, half)))
        q = learned.probabilities(context[half:], exposure[half:], np.ones((n - half, 3), dtype=bool))
        weight = estimators.weights(q, arm[half:], np.full(n - half, 1 / 3))
        gain = (weight - 1) * reward[half:]
        interval = fixed(estimators.Estimate(gain.mean(), gain - gain.mean()), np.arange(n - half))
        wins += interval.low > 0
    return wins


def test_a_stream_in_which_nothing_matters_is_not_announced_as_won_and_one_in_which_it_does_is():
    """One in forty would be announced by chance; more than 5 of 40 has a chance below 0.1 %."""
    assert announced(0.0, 40) <= 5
    assert announced(0.2, 10) == 10
