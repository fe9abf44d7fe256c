"""Archetypes from sessions, and what they gain on later ones."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import purchase_hours
from models.send_time import dataset, evaluate, score, train
from models.send_time.spec import HOURS_OF_WEEK
from models.simulator import rhythms

PEOPLE = 600


def people(sessions: float, seed: int = 0, count: int = PEOPLE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    dice = np.random.default_rng(seed)
    profile = rhythms.typed(dice.choice(5, count), dice.normal(0, 1, count))
    mean = sessions * profile / HOURS_OF_WEEK
    return profile, dice.poisson(mean).astype(float), dice.poisson(mean / 4).astype(float)


def test_archetypes_tell_later_sessions_better_than_everybodys_histogram():
    _, earlier, later = people(30)
    found = train.fit(earlier + later, earlier, later, seed=0)
    _, before, after = people(30, seed=1)
    gained = evaluate.gain(score.log_activity(before, found), after, before, seed=0)
    assert gained.low is not None
    assert gained.low > 0.1


def test_people_without_a_rhythm_of_their_own_gain_nothing_and_are_pooled():
    dice = np.random.default_rng(2)
    mean = np.tile(30 / HOURS_OF_WEEK * np.ones(HOURS_OF_WEEK), (PEOPLE, 1))
    earlier, later = dice.poisson(mean).astype(float), dice.poisson(mean).astype(float)
    found = train.fit(earlier + later, earlier, later, seed=0)
    assert found.kappa >= 120
    assert evaluate.gain(score.log_activity(earlier, found), later, earlier, seed=0).nats < 0.02


def test_the_same_seed_gives_the_same_archetypes():
    _, earlier, later = people(20)
    one, other = (train.fit(earlier, earlier, later, seed=3) for _ in range(2))
    assert np.array_equal(one.profiles, other.profiles)


def test_too_few_people_are_not_enough_data():
    _, earlier, later = people(30, count=150)
    with pytest.raises(train.NotEnoughData, match="at least 200 are needed"):
        train.fit(earlier, earlier, later, seed=0)


def test_no_later_session_is_not_enough_data():
    _, earlier, _ = people(30)
    with pytest.raises(train.NotEnoughData, match="at least 1 is needed"):
        train.fit(earlier, earlier, np.zeros_like(earlier), seed=0)


def test_a_session_of_four_weeks_ago_counts_half():
    made = dataset.counted(np.array([1, 1]), np.array([5, 167]), np.array([28.0, 0.0]), recipients=2)
    assert made[1, 5] == pytest.approx(0.5)
    assert made[1, 167] == pytest.approx(1.0)
    assert made[0].sum() == 0


@pytest.mark.parametrize(
    ("recipient", "hour", "age", "named"),
    [(2, 0, 0.0, "recipient"), (0, 168, 0.0, "hour_of_week"), (0, 0, -1.0, "age_days")],
)
def test_a_session_that_cannot_be_is_refused_by_name(recipient, hour, age, named):
    with pytest.raises(ValueError, match=f"{named}: expected"):
        dataset.counted(np.array([recipient]), np.array([hour]), np.array([age]), recipients=2)


def test_hours_of_the_week_begin_on_monday():
    local = pd.Series(pd.to_datetime(["2024-01-01 00:30", "2024-01-07 23:59"]))
    assert dataset.hours_of_week(local).tolist() == [0, 167]


def test_few_people_give_no_interval():
    _, earlier, later = people(30, count=20)
    assert evaluate.gain(np.zeros_like(earlier), later, earlier, seed=0).low is None


def test_without_the_real_purchases_their_row_is_skipped_and_misses_nothing(tmp_path):
    assert purchase_hours.measure(tmp_path) == {"skipped": "data absent: transactions.parquet", "met": None}
