"""A calibration map never falls, survives its file bit for bit, and makes probabilities mean what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.calibration import Calibration, Method, isotonic, line, logit, platt, sigmoid


def drawn(n, *, seed=0, slope=2.0, intercept=0.5):
    rng = np.random.default_rng(seed)
    margin = rng.normal(-1.0, 1.2, n)
    return margin, (rng.random(n) < sigmoid(intercept + slope * margin)).astype(np.int8)


def loss(label, p):
    return float(-(label * np.log(p) + (1 - label) * np.log(1 - p)).mean())


@pytest.mark.parametrize("fit", [platt, isotonic])
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (2.5, 1.0), (0.4, -1.0)])
def test_calibrating_makes_later_rows_better_or_costs_next_to_nothing(fit, slope, intercept):
    margin, label = drawn(6_000, slope=slope, intercept=intercept)
    later, later_label = drawn(6_000, seed=1, slope=slope, intercept=intercept)
    before = loss(later_label, sigmoid(later))
    assert loss(later_label, fit(margin, label).apply(later)) <= before + (3e-3 if slope == 1.0 else -1e-2)


@pytest.mark.parametrize("fit", [platt, isotonic])
def test_calibrated_probabilities_add_up_and_have_slope_one(fit):
    margin, label = drawn(8_000)
    p = fit(margin, label).apply(margin)
    assert p.mean() == pytest.approx(label.mean(), rel=0.01)
    assert line(logit(p), label)[1] == pytest.approx(1.0, abs=0.05)


def test_platt_finds_the_line():
    margin, label = drawn(60_000)
    fitted = platt(margin, label)
    assert fitted.y[0] == pytest.approx(0.5, abs=0.1)
    assert fitted.slope_above == pytest.approx(2.0, abs=0.1)


def test_scores_that_rank_backwards_become_the_base_rate_not_an_inverted_ranking():
    margin, label = drawn(2_000, slope=-1.0)
    p = platt(margin, label).apply(margin)
    assert np.ptp(p) == 0
    assert p[0] == pytest.approx(label.mean())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([-30.0, -1.0, 0.0, 0.5]) | st.floats(-20, 20), st.booleans()), min_size=2),
    st.sampled_from([platt, isotonic]),
)
def test_a_map_never_falls_and_its_file_gives_the_same_bits(pairs, fit):
    margin = np.array([margin for margin, _ in pairs])
    label = np.array([hit for _, hit in pairs], dtype=np.int8)
    if 0 < label.sum() < len(label):
        fitted = fit(margin, label)
        again = Calibration.from_json(fitted.to_json())
        grid = np.linspace(-40, 40, 333)
        p = again.apply(grid)
        assert (np.diff(p) >= 0).all()
        assert ((p > 0) & (p < 1)).all()
        np.testing.assert_array_equal(p, fitted.apply(grid))


def test_isotonic_keeps_apart_what_the_booster_kept_apart():
    margin, label = drawn(3_000)
    p = isotonic(margin, label).apply(np.sort(margin))
    assert (np.diff(p) > 0).mean() > 0.95


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"method": "platt", "x": [0], "y": [0]}', "slope_below"),
        (b'{"method": "platt", "x": [0], "y": [], "slope_below": 1, "slope_above": 1}', "as many"),
        (b'{"method": "platt", "x": [0], "y": [NaN], "slope_below": 1, "slope_above": 1}', "finite"),
        (b'{"method": "isotonic", "x": [0, 1], "y": [1, 0], "slope_below": 1, "slope_above": 1}', "never fall"),
        (b'{"method": "isotonic", "x": [1, 1], "y": [0, 1], "slope_below": 1, "slope_above": 1}', "never fall"),
        (b'{"method": "platt", "x": [0], "y": [0], "slope_below": -1, "slope_above": 1}', "never fall"),
        (b'{"method": "luck", "x": [0], "y": [0], "slope_below": 1, "slope_above": 1}', "luck"),
        (b"{", "delimiter|property name"),
    ],
)
def test_a_file_that_is_no_rising_map_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Calibration.from_json(text)


def test_certainty_is_never_claimed():
    sure = Calibration(Method.PLATT, (0.0,), (0.0,), 50.0, 50.0)
    assert sure.apply(np.array([-1e9, 1e9])).tolist() == [1e-6, 1 - 1e-6]
