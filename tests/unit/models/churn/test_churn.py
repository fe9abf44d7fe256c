"""Who will stay away, told a month before."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from models.churn import dataset, evaluate, score, train
from models.churn.spec import FEATURES
from models.churn.train import Churn, NotEnoughData

START = pd.Timestamp("2024-01-01", tz="UTC")
FIRST, SECOND = START + pd.Timedelta(days=120), START + pd.Timedelta(days=150)


@cache
def sessions(people: int = 1500) -> pd.DataFrame:
    """Return sessions of people who come at a rate of their own until some day they never come again."""
    dice = np.random.default_rng(0)
    rate, end = dice.gamma(1.5, 0.15, people), dice.exponential(150, people)
    count = dice.poisson(rate * np.minimum(end, 180))
    who = np.repeat(np.arange(people), count)
    day = dice.uniform(0, np.minimum(end, 180)[who])
    return pd.DataFrame({"recipient_id": who, "at": START + pd.to_timedelta(day, unit="D")})


def rows(at: pd.Timestamp) -> tuple[np.ndarray, np.ndarray]:
    made = dataset.features(sessions(), at)
    gone = dataset.stayed_away(sessions(), at, made.index)
    return made.to_numpy(), gone.to_numpy().astype(float)


@cache
def fitted() -> Churn:
    return train.fit(*rows(FIRST), seed=0)


def test_a_month_later_it_is_told_better_than_by_the_base_rate_or_recency_and_calibrated():
    features, gone = rows(SECOND)
    found = score.chance(features, fitted())
    assert evaluate.skill(found, gone, fitted().base_rate) > 0.2
    assert evaluate.auc(found, gone) > evaluate.auc(features[:, FEATURES.index("days_since_last")], gone) - 0.005
    assert evaluate.observed_over_expected(found, gone) == pytest.approx(1, abs=0.15)


def test_a_session_at_the_moment_itself_is_not_known_yet():
    told = pd.DataFrame({"recipient_id": [1, 1], "at": [FIRST - pd.Timedelta(days=2), FIRST]})
    found = dataset.features(told, FIRST)
    assert found.loc[1, "days_since_last"] == 2
    assert found.loc[1, "sessions_90d"] == 1
    assert np.isnan(found.loc[1, "mean_gap_days"])


def test_a_month_that_is_not_over_is_refused():
    with pytest.raises(ValueError, match="sessions: expected some until"):
        dataset.stayed_away(sessions(), SECOND + pd.Timedelta(days=20), pd.Index([1]))


def test_few_people_or_nobody_gone_are_not_enough_data():
    features, gone = rows(FIRST)
    with pytest.raises(NotEnoughData, match="299 people"):
        train.fit(features[:299], gone[:299], seed=0)
    with pytest.raises(NotEnoughData, match="0 of the rarer kind; at least 300 and 50"):
        train.fit(features, np.zeros(len(gone)), seed=0)


def test_other_columns_are_refused_by_name():
    with pytest.raises(ValueError, match="features: expected shape"):
        train.fit(np.zeros((400, 2)), np.zeros(400), seed=0)


def test_auc_is_half_for_equal_chances_and_none_without_both_kinds():
    assert evaluate.auc(np.ones(4), np.array([0.0, 1.0, 0.0, 1.0])) == 0.5
    assert np.isnan(evaluate.auc(np.ones(2), np.ones(2)))
