"""The laws one by one: exact half-lives, and which way each influence goes."""

from dataclasses import replace

import numpy as np
import pytest

from models.simulator import rhythms
from models.simulator.chances import Truth
from models.simulator.mind import Fading, Mind
from models.simulator.population import Population, Variants
from models.simulator.scenarios import HALF_LIFE_ANNOYANCE, HALF_LIFE_FATIGUE, HALF_LIFE_HABIT, SCENARIOS

FIRST = (np.array([0]),)
HOUR = np.array([12.0])
ZERO = np.array([0])


@pytest.mark.parametrize("half_life", [HALF_LIFE_FATIGUE, HALF_LIFE_HABIT, HALF_LIFE_ANNOYANCE])
def test_what_is_left_halves_exactly_in_each_half_life(half_life):
    fading = Fading((2,), half_life)
    fading.add(FIRST, np.array([3.0]), 8.0)
    left = [fading.at(FIRST, 3.0 + turns * half_life)[0] for turns in range(4)]
    assert left == [8.0, 4.0, 2.0, 1.0]
    assert fading.at((np.array([1]),), 50.0)[0] == 0.0


def test_half_lives_are_two_fifteen_and_sixty_days():
    assert (HALF_LIFE_FATIGUE, HALF_LIFE_HABIT, HALF_LIFE_ANNOYANCE) == (2.0, 15.0, 60.0)


def test_what_is_added_later_does_not_fade_with_what_was_there():
    fading = Fading((1,), 2.0)
    fading.add(FIRST, np.array([0.0]), 1.0)
    fading.add(FIRST, np.array([2.0]), 1.0)
    assert fading.at(FIRST, 4.0)[0] == 0.75


def test_one_message_leaves_what_its_channel_and_answer_say():
    mind = Mind.rested(2, 1)
    both = np.array([0, 1])
    mind.feel(
        both,
        np.zeros(2, int),
        np.zeros(2),
        load=np.array([0.6, 0.6]),
        opened=np.array([1.0, 0.0]),
        fit=np.zeros(2),
    )
    np.testing.assert_allclose(mind.fatigue.at((both,), 0.0), [0.6 * 0.4, 0.6 * 1.1], atol=1e-15)
    np.testing.assert_allclose(mind.annoyance.at((both,), 0.0), [0.6 * 0.5 * 0.3, 0.6 * 0.5], atol=1e-15)
    np.testing.assert_array_equal(mind.habit.at((both, np.zeros(2, int)), 0.0), [1.0, 1.0])


def a_truth(scenario="realistic", *, people=50):
    scene = SCENARIOS[scenario]
    dice = np.random.default_rng(3)
    population, variants = Population.drawn(people, scene, dice), Variants.drawn(6, 30, scene, dice)
    return Truth(scene, population, variants, Mind.rested(people, 6), 0)


def tired(truth, amount):
    made = replace(truth, mind=Mind.rested(len(truth.population), len(truth.variants)))
    everybody = np.arange(len(truth.population))
    made.mind.fatigue.add((everybody,), np.zeros(len(everybody)), amount)
    return made


def test_chances_fall_and_opt_outs_rise_with_fatigue_for_everybody():
    truth, who = a_truth(), np.arange(50)
    states = [tired(truth, amount) for amount in (0.0, 1.0, 3.0, 9.0)]
    opens = np.array([state.opens(who, ZERO, ZERO, HOUR) for state in states])
    optouts = np.array([state.optouts(who, ZERO, ZERO, HOUR) for state in states])
    assert (np.diff(opens, axis=0) < 0).all()
    assert (np.diff(optouts, axis=0) > 0).all()


def test_the_same_fatigue_costs_the_sensitive_three_times_as_much():
    truth = a_truth()
    loss = _logit(truth.opens(np.arange(50), ZERO, ZERO, HOUR)) - _logit(
        tired(truth, 2.0).opens(np.arange(50), ZERO, ZERO, HOUR)
    )
    expected = 0.10 * truth.population.sensitivity * 2.0 * 2 ** (-0.5 / 2)
    np.testing.assert_allclose(loss, expected, atol=1e-12)
    assert set(truth.population.sensitivity) == {1.0, 3.0}


def test_the_chance_of_an_open_is_the_formula():
    truth = a_truth()
    people, who = truth.population, 7
    shared = people.topics[who] @ truth.variants.topics[2] - 1 / 8
    logit = (
        np.log(0.018 / 0.982)
        + people.openness[who]
        + 0.45 * np.log(people.profile[who, 20])
        + people.channel_liking[who, 1]
        + 2 * shared
        + truth.variants.quality[2]
    )
    found = truth.opens(np.array([who]), np.array([1]), np.array([2]), np.array([20.5]))
    assert found[0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-15)


def test_repeats_of_a_variant_cost_more_up_to_thirty_and_only_that_variant():
    truth, who = a_truth(), np.array([4])
    seen = [truth.opens(who, ZERO, np.array([1]), HOUR)[0]]
    for count in (10.0, 20.0, 40.0):
        truth.mind.habit.add((who, np.array([1])), np.array([0.5]), count)
        seen.append(truth.opens(who, ZERO, np.array([1]), HOUR)[0])
    logits = _logit(np.array(seen))
    np.testing.assert_allclose(-np.diff(logits), [0.3, 0.6, 0.0], atol=1e-12)
    assert truth.opens(who, ZERO, np.array([2]), HOUR) == a_truth().opens(who, ZERO, np.array([2]), HOUR)


def test_annoyance_lowers_visits_without_messages():
    truth, first = a_truth(), np.array([0])
    before = truth.visits()
    truth.mind.annoyance.add((first,), np.array([0.0]), 100.0)
    after = truth.visits()
    assert after[0] == pytest.approx(before[0] * np.exp(-0.002 * truth.population.sensitivity[0] * 100), rel=1e-12)
    np.testing.assert_array_equal(after[1:], before[1:])


def test_in_the_null_scenario_no_decision_changes_a_chance():
    truth = tired(a_truth("null"), 5.0)
    who, channel, variant = np.arange(50)[:, None, None], np.arange(4)[None, :, None], np.arange(6)[None, None, :]
    for hour in (3.0, 20.0):
        opens = truth.opens(who, channel, variant, np.array(hour))
        np.testing.assert_allclose(opens, 0.035, atol=1e-15)
        np.testing.assert_allclose(truth.optouts(who, channel, variant, np.array(hour)), 0.0008, atol=1e-15)


def test_low_rates_are_three_tenths_of_the_realistic():
    who = np.arange(50)
    low, real = (a_truth(name).opens(who, ZERO, ZERO, HOUR) for name in ("low_rate", "realistic"))
    np.testing.assert_allclose(low, 0.3 * real, rtol=1e-12)


def test_interests_are_known_with_error_and_rates_are_heavy_tailed():
    population = Population.drawn(20_000, SCENARIOS["realistic"], np.random.default_rng(1))
    assert np.log(population.rate).mean() == pytest.approx(np.log(0.35), abs=0.03)
    assert np.log(population.rate).std() == pytest.approx(1.0, abs=0.02)
    np.testing.assert_allclose(population.consent.mean(axis=0), [0.62, 0.85, 0.35, 1.0], atol=0.015)
    np.testing.assert_allclose(population.interests.sum(axis=1), 1.0)
    agreement = np.corrcoef(population.interests.ravel(), population.topics.ravel())[0, 1]
    assert 0.9 < agreement < 0.999


def test_drift_moves_one_in_a_hundred_and_eighty_a_day_and_interests_a_little():
    scene = SCENARIOS["realistic"]
    before = Population.drawn(20_000, scene, np.random.default_rng(1))
    after = before.drifted(scene, np.random.default_rng(2))
    moved = after.phase != before.phase
    assert moved.mean() == pytest.approx(1 / 180, rel=0.3)
    assert (np.abs(after.phase - before.phase)[moved] >= 3).all()
    assert (np.abs(after.phase - before.phase)[moved] <= 8).all()
    np.testing.assert_array_equal(after.profile[~moved], before.profile[~moved])
    assert 0 < np.abs(after.topics - before.topics).max() <= 0.002


@pytest.mark.parametrize("smooth", [True, False])
def test_profiles_have_mean_one_and_no_hour_without_activity(smooth):
    dice = np.random.default_rng(4)
    kinds = dice.integers(0, 5, 300)
    made = rhythms.smooth(300, dice) if smooth else rhythms.typed(kinds, dice.normal(size=300))
    assert made.shape == (300, 168)
    np.testing.assert_allclose(made.mean(axis=1), 1.0, rtol=1e-12)
    assert made.min() > 0


def test_a_commuter_is_there_at_eight_and_the_phase_moves_the_day():
    plain, late = rhythms.typed(np.array([0, 0]), np.array([0.0, 5.0]))
    assert plain[24 + 7] > 5 * plain[24 + 3]
    np.testing.assert_allclose(np.roll(plain[:24], 5), late[:24], rtol=1e-12)


def test_drawn_hours_follow_the_profile():
    profile = np.ones(24)
    profile[[9, 20]] = 4.0
    uniform = (np.arange(60_000) + 0.5) / 60_000
    hours = rhythms.drawn_hours(np.tile(profile, (len(uniform), 1)), uniform)
    shares = np.bincount(hours.astype(int), minlength=24) / len(hours)
    np.testing.assert_allclose(shares, profile / profile.sum(), atol=1e-4)
    assert rhythms.drawn_hours(profile[None, :], np.array([np.nextafter(1.0, 0.0)]))[0] < 24


def _logit(chance):
    return np.log(chance / (1 - chance))
