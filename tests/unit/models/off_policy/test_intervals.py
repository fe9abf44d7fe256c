"""Intervals: they hold what they promise for skewed weights, for recipients with several rows, and at every look."""

import numpy as np
import pytest

from models.off_policy import estimators
from models.off_policy.estimators import Estimate
from models.off_policy.intervals import Interval, anytime, fixed


def a_mean(rows):
    value = float(rows.mean())
    return Estimate(value, rows - value)


def covers(interval, truth):
    return interval.low <= truth <= interval.high


def test_intervals_of_skewed_weighted_rewards_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(1500):
        weight = np.where(rng.random(1500) < 0.2, 4.0, 0.25)
        reward = (rng.random(1500) < 0.07).astype(float)
        held += covers(fixed(estimators.ips(weight, reward), np.arange(1500)), 0.07)
    assert 0.935 <= held / 1500 <= 0.968


def test_rows_of_one_recipient_are_one_observation():
    rng = np.random.default_rng(4)
    held = naive = 0
    for _ in range(400):
        rows = np.repeat(rng.normal(size=100), 10) + 0.1 * rng.normal(size=1000)
        held += covers(fixed(a_mean(rows), np.repeat(np.arange(100), 10)), 0)
        naive += covers(fixed(a_mean(rows), np.arange(1000)), 0)
    assert held / 400 > 0.92
    assert naive / 400 < 0.6


def test_an_anytime_interval_survives_many_looks_where_a_fixed_one_does_not():
    rng = np.random.default_rng(5)
    looks = range(200, 4001, 200)
    missed = {fixed: 0, anytime: 0}
    for _ in range(200):
        rows = rng.normal(size=4000)
        for kind in missed:
            missed[kind] += any(not covers(kind(a_mean(rows[:n]), np.arange(n)), 0) for n in looks)
    assert missed[anytime] / 200 <= 0.05
    assert missed[fixed] / 200 > 0.12


def test_an_anytime_interval_is_half_as_wide_again_where_it_is_tuned():
    rows = np.random.default_rng(6).normal(size=2000)
    wide, usual = (
        anytime(a_mean(rows), np.arange(2000), tuned_at=2000),
        fixed(a_mean(rows), np.arange(2000)),
    )
    assert (wide.high - wide.low) / (usual.high - usual.low) == pytest.approx(1.55, abs=0.01)


def test_one_recipient_has_no_interval():
    rows = np.random.default_rng(7).normal(size=50)
    assert fixed(a_mean(rows), np.zeros(50, dtype=int)) == Interval(float(rows.mean()), None, None)
