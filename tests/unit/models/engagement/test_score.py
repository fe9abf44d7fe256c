"""The scorer built from files gives the fitted model's bits, from any thread, and refuses what it cannot vouch for."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models.calibration import Calibration, Method
from models.engagement import spec, train
from models.engagement.score import BundleRefused, CanaryFailed, NotAScore, Scorer, margins
from models.engagement.spec import Params
from tests.engagement_rows import a_dataset


@pytest.fixture(scope="module")
def fitted():
    return train.fit(a_dataset(), params=Params(rounds=30, learning_rate=0.2), seed=7)


@pytest.fixture(scope="module")
def files(fitted):
    return fitted.to_files()


@pytest.fixture(scope="module")
def matrix():
    return a_dataset(500, seed=9).matrix


def changed(files, name, **fields):
    return files | {name: json.dumps(json.loads(files[name]) | fields).encode()}


def test_the_files_give_the_fitted_model_s_predictions_bit_for_bit(fitted, files, matrix):
    np.testing.assert_array_equal(Scorer.from_files(files).score(matrix), fitted.predict(matrix))


def test_what_features_add_sums_to_the_log_odds_and_nothing_is_left_over(files, matrix):
    scorer = Scorer.from_files(files)
    added = scorer.contributions(matrix)
    assert added.shape == (len(matrix), len(scorer.features) + 1)
    margin = margins(scorer._booster, matrix)
    assert np.abs(added.sum(axis=1) - margin).max() < 1e-5
    assert np.abs(margin - margin.mean()).max() > 0.1
    alone = scorer.contributions(matrix[3:4])
    np.testing.assert_array_equal(alone, added[3:4])


def test_one_row_alone_scores_as_among_many(files, matrix):
    scorer = Scorer.from_files(files)
    together = scorer.score(matrix)
    alone = [scorer.score(matrix[n : n + 1])[0] for n in range(20)]
    np.testing.assert_array_equal(alone, together[:20])


def test_threads_do_not_disturb_each_other(files, matrix):
    scorer = Scorer.from_files(files)
    wanted = scorer.score(matrix)
    with ThreadPoolExecutor(4) as pool:
        for p in pool.map(scorer.score, [matrix] * 32):
            np.testing.assert_array_equal(p, wanted)


def test_it_knows_what_a_caller_needs(files):
    scorer = Scorer.from_files(files)
    assert scorer.features == spec.FEATURES
    assert scorer.vocabularies["message_type"] == ("digest", "offer")
    assert 0 < scorer.base_rates["*"] < 1
    assert scorer.score(np.empty((0, len(spec.FEATURES)), dtype=np.float32)).tolist() == []


def test_every_file_is_plain_json(files):
    assert set(files) == {"model.json", "calibration.json", "features.json"}
    for content in files.values():
        json.loads(content)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 3), dtype=np.float32),
        np.zeros(len(spec.FEATURES), dtype=np.float32),
        np.zeros((2, len(spec.FEATURES)), dtype=np.float64),
    ],
    ids=["columns", "dimensions", "type"],
)
def test_rows_of_another_shape_are_refused(files, wrong):
    with pytest.raises(NotAScore, match="expected float32"):
        Scorer.from_files(files).score(wrong)


def test_an_infinite_feature_is_refused(files, matrix):
    bad = matrix.copy()
    bad[0, 0] = np.inf
    with pytest.raises(NotAScore, match="infinite"):
        Scorer.from_files(files).score(bad)


def test_a_result_that_is_no_probability_is_refused(files, matrix, monkeypatch):
    monkeypatch.setattr(Calibration, "apply", lambda _, margin: np.full_like(margin, np.nan))
    with pytest.raises(NotAScore, match="no probability"):
        Scorer.from_files(files).score(matrix)


def test_the_canary_notices_another_model_under_the_same_name(fitted, files):
    Scorer.from_files(files).canary()
    other = Calibration(Method.PLATT, (0.0,), (0.1,), 1.0, 1.0).to_json()
    with pytest.raises(CanaryFailed, match="off by"):
        Scorer.from_files(files | {"calibration.json": other}).canary()
    with pytest.raises(CanaryFailed, match="no canary rows"):
        Scorer.from_files(changed(files, "features.json", canary_rows=[], canary_p=[])).canary()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: {"model.json": files["model.json"]}, "missing files: calibration.json, features.json"),
        (lambda files: files | {"model.json": b"{}"}, "model.json: not an XGBoost model"),
        (lambda files: files | {"model.json": b"\x80\x04pickle"}, "model.json: not an XGBoost model"),
        (lambda files: files | {"calibration.json": b"{}"}, "calibration.json: "),
        (lambda files: files | {"features.json": b"[]"}, "features.json: not as expected at the whole"),
        (lambda files: changed(files, "features.json", format=2), "features.json: not as expected at format"),
        (lambda files: changed(files, "features.json", canary_p=[0.5]), "canary rows do not fit"),
        (lambda files: changed(files, "features.json", canary_rows=[], canary_p=[], features=["a"]), "not those of"),
        (
            lambda files: changed(files, "features.json", features=list(spec.FEATURES[::-1])),
            "not those of features.json, in that order",
        ),
    ],
)
def test_files_that_do_not_belong_together_are_refused(files, change, message):
    with pytest.raises(BundleRefused, match=message):
        Scorer.from_files(change(files))
