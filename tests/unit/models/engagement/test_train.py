"""A fit is repeatable, learns what is there, respects its constraints, and refuses rows that are too few."""

from dataclasses import replace

import numpy as np
import pytest

from models.calibration import Method
from models.engagement import spec, train
from models.engagement.evaluate import evaluate
from models.engagement.spec import NotEnoughData, Params
from tests.engagement_rows import TYPES, a_dataset

QUICK = Params(rounds=40, learning_rate=0.15)


@pytest.fixture(scope="module")
def rows():
    return a_dataset(900)


@pytest.fixture(scope="module")
def fitted(rows):
    return train.fit(rows, params=QUICK, seed=7)


def row_with(**values):
    row = np.full((1, len(spec.FEATURES)), np.nan, dtype=np.float32)
    for name, value in values.items():
        row[0, spec.FEATURES.index(name)] = value
    return row


def test_the_same_rows_and_seed_give_the_same_bytes_in_any_order(rows, fitted):
    shuffled = rows.take(np.random.default_rng(3).permutation(len(rows)))
    assert train.fit(shuffled, params=QUICK, seed=7).to_files() == fitted.to_files()


def test_another_seed_gives_another_model(rows, fitted):
    assert train.fit(rows, params=QUICK, seed=8).to_files()["model.json"] != fitted.to_files()["model.json"]


def test_it_learns_what_is_there(fitted):
    later = a_dataset(2_000, seed=5)
    report = evaluate(
        later.label,
        fitted.predict(later.matrix),
        message_type=later.message_type,
        recipient=later.recipient,
        base_rates=fitted.base_rates,
        seed=1,
    )
    assert report.skill > 0.05
    assert report.intervals["slope"].low < 1.0 < report.intervals["slope"].high
    assert 0.9 < report.observed_expected < 1.1


def test_importance_is_a_share_of_the_gain(fitted):
    shares = fitted.importance()
    assert tuple(shares) == spec.FEATURES
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["purchase_with_coupon_count_90d"] > shares["purchase_count_90d"]
    assert shares["converted_count_90d"] == 0.0


@pytest.mark.parametrize(("name", "direction"), list(spec.MONOTONE.items()))
def test_a_score_moves_only_in_the_declared_direction(fitted, name, direction):
    grid = np.linspace(0, 50, 60)
    rows = np.concatenate([row_with(**{"message_type_code": 1.0, name: value}) for value in grid])
    assert (np.diff(fitted.predict(rows)) * direction >= 0).all()


def test_a_message_type_never_seen_is_scored_all_the_same(fitted):
    unknown = fitted.predict(row_with(purchase_with_coupon_count_90d=2.0))
    assert 0.0 < unknown[0] < 1.0


def test_few_positives_are_calibrated_by_platt_on_rows_the_booster_had_not_seen(fitted):
    assert fitted.calibration.method is Method.PLATT


def test_many_positives_are_calibrated_by_isotonic_on_the_latest_quarter(monkeypatch):
    monkeypatch.setattr(train, "ISOTONIC_POSITIVES", 60)
    rows = a_dataset(900)
    sizes = []
    monkeypatch.setattr(train, "isotonic", lambda margin, label: sizes.append(len(margin)) or real(margin, label))
    assert train.fit(rows, params=QUICK, seed=7).calibration.method is Method.ISOTONIC
    assert sizes == [225]


real = train.isotonic


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (a_dataset(199), "training rows: 199, at least 200 are needed"),
        (a_dataset(300, base=-9.0), "training rows with a conversion: "),
        (a_dataset(300, base=9.0), "training rows without a conversion: "),
    ],
)
def test_too_few_rows_are_refused_with_the_number(rows, what):
    with pytest.raises(NotEnoughData, match=what):
        train.fit(rows, params=QUICK, seed=1)


def test_rows_with_other_features_are_refused(rows):
    with pytest.raises(ValueError, match="not the model's, in its order"):
        train.fit(replace(rows, features=spec.FEATURES[::-1]), seed=1)


def test_progress_ends_where_it_said(rows):
    told = []
    train.fit(rows, params=QUICK, seed=7, progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (QUICK.rounds * 6, QUICK.rounds * 6)


def test_rates_of_the_training_rows_are_kept(rows, fitted):
    assert set(fitted.base_rates) == {"*", *TYPES}
    assert fitted.base_rates["*"] == pytest.approx(rows.label.mean())


def test_the_contract_is_whole():
    assert len(set(spec.FEATURES)) == len(spec.FEATURES) >= 30
    assert set(spec.MONOTONE) <= set(spec.FEATURES)
    assert not set(spec.NOT_USED) & set(spec.FEATURES)


def test_calibration_is_not_fooled_by_what_the_booster_learned_by_heart(rows):
    rng = np.random.default_rng(11)
    noise = replace(rows, label=rng.permutation(rows.label))
    deep = Params(rounds=60, learning_rate=0.3, max_depth=6, min_child_weight=0.1, reg_lambda=0.1, colsample=1.0)
    fitted = train.fit(noise, params=deep, seed=7)
    assert fitted.calibration.slope_above < 0.2
    assert np.ptp(fitted.predict(noise.matrix)) < 0.3


def _has_gpu() -> bool:
    try:
        train.fit(a_dataset(), seed=1, params=Params(rounds=1), device="cuda")
    except train.NoSuchDevice:
        return False
    return True


def test_a_gpu_trains_an_equally_good_model_where_there_is_one():
    if not _has_gpu():
        pytest.skip("no GPU here: KAIROS_DEVICE=cuda is not tried")
    rows = a_dataset()
    on_gpu, on_cpu = (train.fit(rows, seed=1, device=device).predict(rows.matrix) for device in ("cuda", "cpu"))
    assert np.abs(on_gpu - on_cpu).mean() < 0.05


def test_a_gpu_that_is_not_there_is_said_and_nothing_is_trained_elsewhere_instead():
    if _has_gpu():
        pytest.skip("there is a GPU here")
    with pytest.raises(train.NoSuchDevice, match="device cuda"):
        train.fit(a_dataset(), seed=1, params=Params(rounds=1), device="cuda")
