"""What people will spend where few spend at all."""

import numpy as np
import pytest
from scipy.special import expit

from models.lifetime_value import two_part
from models.lifetime_value.summary import NotEnoughData


def people(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    dice = np.random.default_rng(seed)
    features = dice.normal(size=(count, 3))
    chance = expit(-2 + features[:, 0])
    log_mean = 3 + 0.5 * features[:, 1]
    spend = np.where(dice.random(count) < chance, np.exp(dice.normal(log_mean, 0.8)), 0.0)
    return features, spend, chance * np.exp(log_mean + 0.32)


def test_who_spends_and_how_much_is_found_and_the_total_is_right():
    features, spend, expected = people(20_000)
    found = two_part.fit(features, spend).expected(features)
    assert np.corrcoef(found, expected)[0, 1] > 0.98
    assert found.sum() == pytest.approx(spend.sum(), rel=0.05)


def test_few_people_stay_near_the_mean_and_still_add_up():
    features, spend, _ = people(300)
    others, _, truth = people(5000, seed=1)
    found = two_part.fit(features, spend).expected(others)
    assert found.sum() == pytest.approx(truth.sum(), rel=0.35)
    assert np.corrcoef(found, truth)[0, 1] > 0.7


def test_features_that_say_nothing_hardly_move_anybody():
    features, spend, _ = people(300)
    noise = np.random.default_rng(5).normal(size=features.shape)
    found = two_part.fit(noise, spend).expected(noise)
    assert found.std() < 0.5 * found.mean()


def test_a_constant_feature_and_everybody_spending_are_no_trouble():
    found = two_part.fit(np.ones((200, 1)), np.full(200, 7.0))
    assert np.isfinite(found.expected(np.ones((1, 1)))).all()
    assert found.spends(np.ones((1, 1)))[0] > 0.97


@pytest.mark.parametrize("spenders", [0, 29])
def test_too_few_spenders_are_not_enough_data(spenders):
    spend = np.where(np.arange(200) < spenders, 5.0, 0.0)
    with pytest.raises(NotEnoughData, match=f"{spenders} of them spent; at least 100 and 30"):
        two_part.fit(np.zeros((200, 1)), spend)


@pytest.mark.parametrize(
    ("feature", "spend", "named"), [(np.nan, 1.0, "features"), (0.0, -1.0, "spend"), (0.0, np.inf, "spend")]
)
def test_what_cannot_be_is_refused_by_name(feature, spend, named):
    with pytest.raises(ValueError, match=f"{named}: expected"):
        two_part.fit(np.full((200, 1), feature), np.full(200, spend))
