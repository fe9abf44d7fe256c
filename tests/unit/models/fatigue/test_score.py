"""Weariness from messages, and from opens that do not come."""

import numpy as np
import pytest

from models.fatigue import score
from models.fatigue.spec import IGNORED, LOAD, OPENED
from models.simulator.mind import Mind


def test_the_dynamics_are_those_of_the_simulated_mind():
    times, opened = np.array([0.0, 0.7, 3.0]), np.array([0.0, 1.0, 0.0])
    mind = Mind.rested(1, 1)
    for time, answer in zip(times, opened, strict=True):
        mind.feel(
            np.zeros(1, dtype=np.int64),
            np.zeros(1, dtype=np.int64),
            np.array([time]),
            load=np.ones(1),
            opened=np.array([answer]),
            fit=np.zeros(1),
        )
    found = score.level(np.zeros(3, dtype=np.int64), 4.5 - times, np.ones(3), opened > 0, recipients=1)
    assert found[0] == pytest.approx(mind.fatigue.at((np.zeros(1, dtype=np.int64),), 4.5)[0])


def test_weariness_halves_in_two_days_and_a_recipient_without_a_message_has_none():
    found = score.level(np.array([1]), np.array([2.0]), np.array([LOAD["sms"]]), np.array([False]), recipients=3)
    assert found.tolist() == [0.0, pytest.approx(0.5 * 1.5 * IGNORED), 0.0]
    assert score.later(found, 2.0)[1] == pytest.approx(found[1] / 2)


def test_an_opened_message_tires_less():
    one = score.level(np.array([0, 1]), np.zeros(2), np.ones(2), np.array([True, False]), recipients=2)
    assert one.tolist() == [OPENED, IGNORED]


def test_the_weary_open_less_and_leave_more():
    rested, weary = np.array([0.04]), np.array([5.0])
    assert score.open_chance(rested, weary)[0] < 0.04 < score.opt_out_chance(rested, weary)[0]
    assert score.open_chance(rested, np.zeros(1))[0] == pytest.approx(0.04)


def test_nobody_is_weary_before_a_message_was_sent():
    found = score.detected(np.zeros(1), np.zeros(1))
    assert not found.is_weary[0]
    assert found.severity[0] == 0


def test_no_open_of_ten_that_were_expected_is_weariness_and_as_many_as_expected_is_none():
    found = score.detected(np.array([0.0, 10.0]), np.array([10.0, 10.0]))
    assert found.is_weary.tolist() == [True, False]
    assert found.severity[0] == pytest.approx(1 - 3 / 13)


def test_of_those_who_open_as_expected_few_are_called_weary():
    dice = np.random.default_rng(0)
    expected = dice.uniform(0.5, 8, 20_000)
    flagged = score.detected(dice.poisson(expected).astype(float), expected).is_weary.mean()
    assert flagged < 0.02


def test_a_negative_number_is_refused_by_name():
    with pytest.raises(ValueError, match="expected: expected finite values"):
        score.detected(np.zeros(1), np.array([-1.0]))


def test_the_dynamics_make_the_same_opens_more_suspicious_and_are_outweighed_by_many():
    weary = score.believed_ratio(np.array([8.0]))
    few, many = np.array([0.5]), np.array([200.0])
    without = score.detected(few, few).probability[0]
    assert score.detected(few, few, believed=weary).probability[0] > without
    assert not score.detected(many, many, believed=weary).is_weary[0]
    assert score.believed_ratio(np.zeros(1))[0] == 1


def test_a_believed_ratio_of_nothing_is_refused():
    with pytest.raises(ValueError, match="believed: expected above 0"):
        score.detected(np.zeros(1), np.zeros(1), believed=0.0)
