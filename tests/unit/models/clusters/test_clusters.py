"""Groups of people who behave alike, and the refusal to make them up."""

from functools import cache

import numpy as np
import pytest

from models.clusters import score, train
from models.clusters.train import Clusters, NotEnoughData, adjusted_rand


def three_groups(count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(seed)
    kind = dice.choice(3, count, p=[0.5, 0.3, 0.2])
    centre = np.array([[0.5, 0.5], [3.0, 0.5], [3.0, 4.0]])
    return np.exp(dice.normal(centre[kind], 0.25)), kind


@cache
def published() -> Clusters:
    return train.fit(three_groups()[0], seed=0)


def test_groups_that_are_there_are_found_again_in_other_people():
    found = published()
    others, kind = three_groups(seed=1)
    cluster, likely = score.members(others, found)
    assert len(found.mixture.share) == 3
    assert found.stability > 0.95
    assert adjusted_rand(cluster, kind) > 0.95
    assert np.allclose(likely.sum(axis=1), 1)


def test_where_everybody_is_alike_no_clusters_are_published():
    columns = np.exp(np.random.default_rng(0).normal(size=(400, 2)))
    with pytest.raises(NotEnoughData, match="no clusters"):
        train.fit(columns, seed=0)


def test_clusters_that_other_samples_would_not_give_are_not_published(monkeypatch):
    monkeypatch.setattr(train, "_stability", lambda *_: 0.79)
    with pytest.raises(NotEnoughData, match=r"stability 0\.79; at least 0\.8"):
        train.fit(three_groups()[0], seed=0)


def test_unstable_clusters_are_found_with_their_stability_for_whoever_wants_to_see_them(monkeypatch):
    monkeypatch.setattr(train, "_stability", lambda *_: 0.79)
    found = train.find(three_groups()[0], seed=0)
    assert (found.stability, len(found.mixture.share)) == (0.79, 3)
    assert "at least 0.8" in train.unstable(found.stability)
    assert train.unstable(0.8) == ""


def test_few_people_are_not_enough_data():
    with pytest.raises(NotEnoughData, match="299 people; at least 300"):
        train.fit(np.ones((299, 2)), seed=0)


def test_the_rand_index_knows_the_same_the_renamed_and_the_random():
    one = np.array([0, 0, 1, 1, 2, 2])
    assert adjusted_rand(one, one) == 1
    assert adjusted_rand(one, np.array([2, 2, 0, 0, 1, 1])) == 1
    dice = np.random.default_rng(0)
    assert abs(adjusted_rand(dice.integers(0, 3, 5000), dice.integers(0, 3, 5000))) < 0.01


@pytest.mark.parametrize("columns", [np.full((300, 2), -1.0), np.full((300, 2), np.nan)])
def test_values_that_cannot_be_are_refused_by_name(columns):
    with pytest.raises(ValueError, match="columns: expected finite"):
        train.fit(columns, seed=0)


def test_other_columns_than_the_clusters_were_made_of_are_refused():
    found = published()
    with pytest.raises(ValueError, match="columns: expected 2 of them"):
        score.members(np.ones((1, 3)), found)
