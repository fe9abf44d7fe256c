"""A recipient's day and a tenant's hour against the ordinary."""

import numpy as np
import pytest
from scipy.stats import nbinom

from models.anomaly import score
from models.anomaly.score import NotEnoughData, Week
from models.anomaly.spec import PRIOR_DAYS

HOURS = 168


def test_the_tail_is_the_negative_binomials():
    found = score.tail(np.array([7.0]), np.array([20.0]), np.array([30.0]), 0.5)
    shape, rate = 20 + PRIOR_DAYS * 0.5, 30 + PRIOR_DAYS
    assert found[0] == pytest.approx(nbinom.sf(6, shape, rate / (1 + rate)))


def test_an_empty_day_is_never_too_full_and_a_busy_recipient_may_be_busy():
    found = score.tail(np.array([0.0, 20.0, 20.0]), np.array([5.0, 600.0, 5.0]), np.full(3, 30.0), 0.5)
    assert found[0] == 1
    assert found[1] > 0.1
    assert found[2] < 1e-9


def test_among_many_ordinary_recipients_hardly_any_is_reported_and_the_strange_ones_are():
    dice = np.random.default_rng(0)
    rate = dice.gamma(1.0, 0.5, 20_000)
    before, today = dice.poisson(30 * rate).astype(float), dice.poisson(rate).astype(float)
    today[:20] += 30
    found = score.reported(score.tail(today, before, np.full(len(rate), 30.0), 0.5))
    assert found[:20].all()
    assert found[20:].sum() <= 2


def test_nobody_and_nothing_strange_report_nobody():
    assert score.reported(np.empty(0)).tolist() == []
    assert not score.reported(np.ones(10)).any()


@pytest.mark.parametrize(
    ("today", "before", "days", "rate", "named"),
    [(-1, 0, 0, 1.0, "today"), (0, -1, 0, 1.0, "before"), (0, 0, -1, 1.0, "days"), (0, 0, 0, 0.0, "everybody")],
)
def test_what_cannot_be_is_refused_by_name(today, before, days, rate, named):
    with pytest.raises(ValueError, match=f"{named}: expected"):
        score.tail(np.array([today]), np.array([before]), np.array([days]), rate)


def an_ordinary_year(seed: int = 0, weeks: int = 12) -> np.ndarray:
    mean = 50 + 40 * np.sin(2 * np.pi * np.arange(HOURS) / 24)
    return np.random.default_rng(seed).poisson(np.tile(mean, weeks)).astype(float)


def test_an_ordinary_week_is_silent_a_lasting_fall_is_not():
    week = Week.of(an_ordinary_year())
    silent = [score.left_its_week(week.residuals(an_ordinary_year(seed, 1))) for seed in range(1, 21)]
    assert sum(found is not None for found in silent) <= 1
    fallen = an_ordinary_year(1, 1)
    fallen[48:] *= 0.5
    found = score.left_its_week(week.residuals(fallen))
    assert found is not None
    assert 48 <= found < 60


def test_one_wild_hour_alone_sounds_no_alarm():
    week = Week.of(an_ordinary_year())
    wild = np.tile(week.median, 1)
    wild[50] = 1e6
    assert score.left_its_week(week.residuals(wild)) is None


def test_sums_start_anew_after_each_alarm():
    assert score.alarms(np.zeros(100)) == ()
    residuals = np.zeros(100)
    residuals[10:14] = 3.0
    residuals[60:64] = -3.0
    assert score.alarms(residuals) == (13, 63)
    assert score.alarms(residuals)[0] == score.left_its_week(residuals)


def test_three_weeks_are_not_enough_to_know_a_week():
    with pytest.raises(NotEnoughData, match="3 whole weeks; at least 4"):
        Week.of(np.ones(4 * HOURS - 1))
