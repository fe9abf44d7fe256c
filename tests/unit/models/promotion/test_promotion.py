"""The gate's further conditions: each lets chance pass and holds back what chance does not explain."""

import numpy as np
import pytest

from models.calibration import sigmoid
from models.promotion import channels, drift, groups, live, serving_limits
from models.promotion.finding import Claim, Verdict
from models.promotion.rows import LEAST_ROWS, Scored, mean, observed_expected, slope

DICE = np.random.default_rng(8)
N = 4_000
LATENT = DICE.normal(-1.5, 1.0, N)
P = sigmoid(LATENT)
LABEL = (DICE.random(N) < P).astype(float)
WHO = np.array([f"r{n % 1_500}" for n in range(N)])
GOOD = Scored.of(LABEL, P, WHO)
CHANNEL = np.where(np.arange(N) % 2 == 0, "email", "push")


def failed(found):
    return {finding.condition for finding in found if not finding.held}


def test_a_calibrated_model_passes_on_every_channel_and_in_every_group():
    assert failed(channels.findings(GOOD, CHANNEL)) == set()
    assert failed(groups.findings(GOOD, None, {"channel": CHANNEL})) == set()
    assert failed(groups.findings(GOOD, GOOD, {"channel": CHANNEL})) == set()


def test_a_channel_that_is_promised_twice_too_much_is_refused_with_both_numbers():
    wrong = Scored.of(LABEL, np.where(CHANNEL == "push", np.clip(2 * P, 0.01, 0.98), P), WHO)
    found = [each for each in channels.findings(wrong, CHANNEL) if not each.held]
    assert "calibration.observed_expected.push" in {each.condition for each in found}
    assert not any(each.condition.endswith("email") for each in found)
    assert "must touch 0.8 to 1.25" in found[0].sentence


def test_a_channel_of_few_rows_is_told_and_refuses_nobody():
    few = np.where(np.arange(N) < 30, "sms", "email")
    [told] = [each for each in channels.findings(GOOD, few) if each.condition == "calibration.sms"]
    assert (told.held, told.number) == (True, None)
    assert f"{LEAST_ROWS} rows" in told.sentence


def test_a_group_that_pays_for_the_others_is_refused():
    harmed = Scored.of(LABEL, np.where(CHANNEL == "push", sigmoid(-LATENT - 3), P), WHO)
    assert failed(groups.findings(harmed, GOOD, {"channel": CHANNEL})) == {"group.log_loss.channel=push"}


def test_a_group_of_fewer_than_200_rows_is_not_spoken_of():
    few = np.where(np.arange(N) < LEAST_ROWS - 1, "few", "")
    assert groups.describe(GOOD, {"plan": few}) == []
    [told] = groups.findings(GOOD, GOOD, {"plan": few})
    assert told.number is None


def test_the_worst_off_group_is_named_with_an_interval_and_how_often_each_is_notified():
    skewed = Scored.of(LABEL, np.where(CHANNEL == "push", np.clip(1.8 * P, 0.01, 0.98), P), WHO)
    [gap] = groups.worst_gaps(skewed, {"channel": CHANNEL})
    assert gap.difference.misses(0, 0)
    by_name = {each.name: each for each in groups.describe(skewed, {"channel": CHANNEL})}
    assert by_name["channel=push"].per_recipient == pytest.approx(2_000 / 750, rel=0.01)
    assert by_name["channel=push"].observed_expected.high < 0.9


def test_intervals_of_repeated_recipients_are_wider_than_of_as_many_strangers():
    values = np.repeat(DICE.normal(size=100), 20)
    together, apart = np.repeat(np.arange(100), 20), np.arange(2_000)
    assert mean(values, together).high - mean(values, together).low > 3 * (
        mean(values, apart).high - mean(values, apart).low
    )


def test_slope_and_observed_expected_cover_the_truth_about_as_often_as_they_say():
    hits = 0
    for seed in range(200):
        dice = np.random.default_rng(seed)
        p = sigmoid(dice.normal(-1.5, 1.0, 600))
        rows = Scored.of(dice.random(600) < p, p, [f"r{n}" for n in range(600)])
        hits += not slope(rows).misses(1, 1)
        hits += not observed_expected(rows).misses(1, 1)
    assert 0.92 <= hits / 400 <= 0.98


def test_psi_is_nothing_for_the_same_population_and_large_for_a_shifted_one():
    then, now = DICE.normal(size=(3_000, 1)), DICE.normal(size=(3_000, 1))
    assert drift.psi(then[:, 0], now[:, 0]) < 0.01
    assert drift.psi(then[:, 0], now[:, 0] + 1) > drift.ANOTHER_POPULATION
    assert drift.psi(then[:, 0], np.full(3_000, np.nan)) > drift.ANOTHER_POPULATION
    assert drift.psi(np.full(500, np.nan), np.full(500, np.nan)) == 0


def test_drift_of_a_feature_the_model_does_not_use_refuses_nobody():
    found = {"used": 0.02, "unused": 3.0}
    assert drift.finding(found, {"used": 1.0}, rows=(500, 500), limit=0.25).held
    refused = drift.finding(found, {"unused": 1.0}, rows=(500, 500), limit=0.25)
    assert not refused.held
    assert "unused 3.00" in refused.sentence
    assert drift.finding(found, {"unused": 1.0}, rows=(500, 20), limit=0.25).number is None


@pytest.mark.parametrize(
    ("change", "condition"),
    [
        ({"p": np.array([0.2, np.nan])}, "canary.finite"),
        ({"problem": "another number than recorded"}, "canary.finite"),
        ({"size": serving_limits.MOST_BYTES + 1}, "size.bytes"),
        ({"milliseconds": 11.0}, "latency.milliseconds"),
    ],
)
def test_a_model_that_cannot_serve_is_refused(change, condition):
    sound = {"p": np.array([0.2, 0.3]), "problem": None, "size": 1_000, "milliseconds": 1.0}
    assert Verdict(tuple(serving_limits.findings(serving_limits.Measured(**sound)))).passed
    verdict = Verdict(tuple(serving_limits.findings(serving_limits.Measured(**(sound | change)))))
    assert failed(verdict.of(Claim.FIT_TO_SERVE)) == {condition}
    assert len(verdict.reasons) == 1


def test_a_watch_over_a_model_that_is_right_is_quiet():
    alarms = 0
    for seed in range(100):
        dice = np.random.default_rng(1_000 + seed)
        alarms += bool(live.watch(Scored.of(dice.random(1_000) < P[:1_000], P[:1_000], WHO[:1_000])).alarms)
    assert alarms <= 3


def test_a_watch_alarms_when_conversions_halve_and_says_when():
    dice = np.random.default_rng(3)
    truth = np.where(np.arange(N) < 1_000, P, sigmoid(LATENT - np.log(3)))
    found = live.watch(Scored.of(dice.random(N) < truth, P, WHO))
    assert found.cusum_low[999] < live.THRESHOLD < found.cusum_low.max()
    assert any("fewer conversions" in alarm for alarm in found.alarms)
    assert int((found.cusum_low > live.THRESHOLD).argmax()) < 1_600


def test_a_watch_of_too_few_outcomes_says_nothing():
    assert live.watch(Scored.of(np.zeros(50), np.full(50, 0.9), WHO[:50])).alarms == ()
    nothing = live.watch(Scored.of(np.zeros(300), np.full(300, 0.5), WHO[:300]))
    assert nothing.observed_expected is not None
    assert nothing.alarms != ()


def test_a_cumulative_sum_is_the_textbooks():
    rows, expected, level = GOOD.take(np.arange(N) < 50), [], 0.0
    for label, p in zip(rows.label, rows.p, strict=True):
        level = max(0.0, level + label * np.log(2) - np.log(1 - p + 2 * p))
        expected.append(level)
    np.testing.assert_allclose(live.cusum(rows, 2.0), expected, atol=1e-12)
