"""Numbers about a model are the right ones, or they are not given."""

import numpy as np
import pytest

from models.calibration import logit, sigmoid
from models.engagement.evaluate import evaluate, logistic_baseline
from models.engagement.spec import NotEnoughData
from tests.engagement_rows import a_dataset


def judged(label, p, **more):
    fresh = {
        "message_type": np.array(["a"] * len(p)),
        "recipient": np.array([f"r{n}" for n in range(len(p))]),
        "base_rates": {"*": 0.3},
        "seed": 1,
    }
    return evaluate(np.array(label, dtype=np.int8), np.array(p, dtype=np.float64), **(fresh | more))


def drawn(n=4_000, seed=0):
    rng = np.random.default_rng(seed)
    p = sigmoid(rng.normal(-1.0, 1.0, n))
    return (rng.random(n) < p).astype(np.int8), p


def test_known_numbers_come_out():
    label = [1] * 30 + [0] * 90
    p = [0.5] * 60 + [0.25] * 60
    report = judged(label, p)
    wins = 30 * 60 / (30 * 90) + 0.5 * 30 * 30 / (30 * 90)
    loss = (60 * np.log(2) - 60 * np.log(0.75)) / 120
    base = -(30 * np.log(0.3) + 90 * np.log(0.7)) / 120
    assert (report.n, report.positives, report.recipients) == (120, 30, 120)
    assert report.auc == pytest.approx(wins)
    assert report.log_loss == pytest.approx(loss)
    assert report.skill == pytest.approx(1 - loss / base)
    assert report.brier == pytest.approx((60 * 0.25 + 60 * 0.0625) / 120)
    assert report.observed_expected == pytest.approx(30 / 45)


def test_true_probabilities_are_found_calibrated_within_their_intervals():
    label, p = drawn()
    report = judged(label, p)
    assert report.slope == pytest.approx(1.0, abs=0.1)
    assert report.intercept == pytest.approx(0.0, abs=0.1)
    assert report.ece < 0.03
    for name, truth in {"slope": 1.0, "observed_expected": 1.0}.items():
        assert report.intervals[name].low < truth < report.intervals[name].high
    for name, interval in report.intervals.items():
        assert interval.low <= getattr(report, name) <= interval.high


def test_overconfident_scores_have_a_slope_below_one_and_a_larger_error():
    label, p = drawn()
    report = judged(label, sigmoid(2 * logit(p)))
    assert report.slope == pytest.approx(0.5, abs=0.05)
    assert report.ece > judged(label, p).ece


def test_skill_is_measured_against_the_training_rate_of_each_type():
    label, p = drawn(400)
    kinds = np.array(["a", "new"] * 200)
    constant = np.full(400, label.mean())
    rates = {"*": float(label.mean()), "a": float(label.mean())}
    assert judged(label, constant, message_type=kinds, base_rates=rates).skill == pytest.approx(0.0)
    assert judged(label, p, message_type=kinds, base_rates=rates).skill > 0


def test_intervals_are_wider_when_rows_repeat_recipients():
    label, p = drawn(500)
    copies = {"message_type": np.array(["a"] * 2_000), "recipient": np.tile([f"r{n}" for n in range(500)], 4)}
    clustered = judged(np.tile(label, 4), np.tile(p, 4), **copies).intervals["auc"]
    pretended = judged(np.tile(label, 4), np.tile(p, 4), message_type=copies["message_type"]).intervals["auc"]
    assert clustered.high - clustered.low > 1.5 * (pretended.high - pretended.low)


def test_a_small_slice_is_counted_and_not_judged():
    label, p = drawn(400)
    kinds = np.array(["big"] * 360 + ["small"] * 40)
    big, small = judged(label, p, message_type=kinds).by_message_type
    assert (big.message_type, big.n, big.auc is None) == ("big", 360, False)
    assert (small.n, small.auc, small.log_loss, small.observed_expected) == (40, None, None, None)
    metrics = judged(label, p, message_type=kinds).metrics()
    assert "auc.big" in metrics
    assert "auc.small" not in metrics
    assert metrics["n.small"] == 40
    assert all(isinstance(value, float) and np.isfinite(value) for value in metrics.values())


@pytest.mark.parametrize(
    ("positives", "negatives", "message"),
    [(30, 60, "rows to judge on: 90"), (5, 200, "with a conversion"), (200, 5, "without a conversion")],
)
def test_rows_that_cannot_carry_a_number_are_refused(positives, negatives, message):
    with pytest.raises(NotEnoughData, match=message):
        judged([1] * positives + [0] * negatives, [0.5] * (positives + negatives))


@pytest.mark.parametrize("bad", [0.0, 1.0, np.nan, -0.1])
def test_a_prediction_that_is_no_probability_is_refused(bad):
    label, p = drawn(200)
    with pytest.raises(ValueError, match="strictly between"):
        judged(label, np.where(np.arange(200) == 7, bad, p))


def test_the_same_seed_gives_the_same_report_and_the_rows_have_a_name():
    label, p = drawn(300)
    assert judged(label, p) == judged(label, p)
    assert judged(label, p).rows_digest == judged(label, 1 - p).rows_digest
    assert judged(label, p).rows_digest != judged(1 - label, p).rows_digest


def test_the_baseline_learns_and_ignores_a_column_without_values():
    train, test = a_dataset(2_000), a_dataset(1_000, seed=3)
    p = logistic_baseline(train, test)
    report = judged(test.label, p, message_type=test.message_type, recipient=test.recipient)
    assert report.auc > 0.7
    assert report.slope == pytest.approx(1.0, abs=0.25)
