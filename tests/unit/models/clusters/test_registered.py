"""The files of registered clusters, the columns they are made of, and how far somebody is from a middle."""

import json

import numpy as np
import pytest

from models.clusters import dataset, registered, score
from models.clusters.registered import FILE, Scorer
from models.clusters.train import Clusters, Mixture, Scaling


def some() -> Clusters:
    mean = np.array([[0.0] * 5, [2.0] * 5])
    return Clusters(Scaling(np.zeros(5), np.ones(5)), Mixture(np.array([0.6, 0.4]), mean, np.full((2, 5), 0.25)), 0.93)


def test_each_hour_counts_in_one_part_of_the_week():
    parts = dataset.of_weeks(np.eye(168))
    assert parts.sum(axis=1).tolist() == [1.0] * 168
    assert parts.sum(axis=0).tolist() == [30, 30, 30, 30, 48]
    assert [int(parts[hour].argmax()) for hour in (0, 5, 6, 12, 23, 119, 120, 167)] == [0, 0, 1, 2, 3, 3, 4, 4]


def test_a_week_of_other_length_is_refused_by_name():
    with pytest.raises(ValueError, match="hours: expected 168"):
        dataset.of_weeks(np.ones((1, 167)))


def test_a_version_sorts_people_as_what_was_registered_did():
    found = registered.from_files(registered.to_files(some()))
    assert found.stability == 0.93
    rows = np.array([[0.0] * 5, [np.expm1(2.0)] * 5])
    assert Scorer.from_files(registered.to_files(some())).score(rows.astype("float32")).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"columns": ["a"]}, "columns: expected weekday_night"),
        ({"mean": [[1.0]]}, "expected 5 numbers for each of 2"),
        ({"share": None}, "numbers for each of 1"),
    ],
)
def test_a_file_that_does_not_fit_together_is_refused_by_name(change, named):
    told = json.loads(registered.to_files(some())[FILE]) | change
    with pytest.raises(ValueError, match=named):
        registered.from_files({FILE: json.dumps(told).encode()})


def test_a_missing_file_is_refused_by_name():
    with pytest.raises(ValueError, match=FILE):
        registered.from_files({})


def test_distance_is_counted_in_standard_deviations_of_the_own_cluster():
    rows = np.expm1(np.array([[0.0] * 5, [2.5] * 5]))
    assert score.distances(rows, np.array([0, 1]), some()).tolist() == pytest.approx([0.0, 1.0])
