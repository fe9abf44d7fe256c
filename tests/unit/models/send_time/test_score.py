"""Activity by hour of the week, from sessions and from people alike."""

import numpy as np
import pytest

from models.send_time import score
from models.send_time.spec import HOURS_OF_WEEK, POPULATION, POPULATION_LOG_ACTIVITY, Archetypes
from models.simulator import rhythms

MORNING, EVENING = 8, 20


def archetypes() -> Archetypes:
    hours = np.arange(HOURS_OF_WEEK) % 24
    rows = np.array([np.where(hours == peak, 10.0, 0.5) for peak in (MORNING, EVENING)])
    return Archetypes(rows / rows.mean(axis=1, keepdims=True), np.array([0.5, 0.5]), kappa=10.0)


def sessions(*hours: int) -> np.ndarray:
    counts = np.zeros((1, HOURS_OF_WEEK))
    np.add.at(counts, (0, list(hours)), 1.0)
    return counts


def test_without_a_session_the_populations_profile_answers():
    found = score.log_activity(np.zeros((2, HOURS_OF_WEEK)))
    assert np.allclose(found, np.tile(POPULATION_LOG_ACTIVITY, (2, 1)))


def test_the_prior_is_the_mean_of_the_simulated_population():
    dice = np.random.default_rng(0)
    kinds = dice.choice(len(rhythms.TYPES), 20_000, p=[each.share for each in rhythms.TYPES])
    mean = rhythms.typed(kinds, dice.normal(0, 1, len(kinds))).mean(axis=0)
    assert np.abs(POPULATION.profiles[0] - mean).max() < 0.04


def test_rows_have_mean_1_and_no_zero():
    counts = np.random.default_rng(1).poisson(0.2, (50, HOURS_OF_WEEK)).astype(float)
    found = score.activity(counts, archetypes())
    assert np.allclose(found.mean(axis=1), 1.0)
    assert found.min() > 0


def test_smoothing_keeps_the_sum_and_goes_around_midnight_but_not_into_the_weekend():
    found = score.smoothed(sessions(23))[0]
    assert found.sum() == pytest.approx(1.0)
    assert found[24] == pytest.approx(found[22])
    assert found[5 * 24 :].sum() == 0


def test_more_sessions_move_a_recipient_further_from_people_alike():
    few = score.activity(sessions(*[MORNING] * 2), archetypes())[0]
    many = score.activity(sessions(*[MORNING] * 40), archetypes())[0]
    alike = archetypes().profiles[0]
    assert np.abs(many - alike).sum() > np.abs(few - alike).sum()


def test_a_mornings_sessions_make_a_recipient_like_the_morning_people():
    found = score.weights(sessions(MORNING, MORNING + 24), archetypes())[0]
    assert found[0] > 0.9


def test_a_slot_that_is_not_allowed_is_never_drawn_and_every_other_keeps_the_floor():
    rates = np.array([[0.0, 5.0, 1.0]])
    allowed = np.array([[True, False, True]])
    found = score.slot_probabilities(rates, allowed, weight=0.45, temperature=0.25, floor=0.1)
    assert found.sum() == pytest.approx(1.0)
    assert found[0, 1] == 0
    assert found[0, 2] > found[0, 0] >= 0.05


def test_a_row_without_a_slot_is_refused():
    with pytest.raises(ValueError, match="allowed: expected at least one slot"):
        score.slot_probabilities(np.zeros((1, 2)), np.zeros((1, 2), dtype=bool), weight=1, temperature=1, floor=0)


@pytest.mark.parametrize("counts", [np.zeros((1, 24)), np.zeros(HOURS_OF_WEEK), np.full((1, HOURS_OF_WEEK), -1.0)])
def test_counts_that_cannot_be_are_refused_by_name(counts):
    with pytest.raises(ValueError, match="counts: expected"):
        score.log_activity(counts)


def test_a_profile_with_a_zero_is_refused():
    with pytest.raises(ValueError, match="profiles: expected positive"):
        Archetypes(np.eye(1, HOURS_OF_WEEK) * HOURS_OF_WEEK, np.ones(1))
