"""The gate lets nothing through that is worse, too good, or not what it says."""

from dataclasses import replace

import numpy as np
import pytest

from models.calibration import logit, sigmoid
from models.engagement.evaluate import Limits, evaluate, passes_gate
from models.engagement.gate import Condition
from models.engagement.report import Interval

RNG = np.random.default_rng(4)
KINDS = np.repeat(["a", "b"], 1_000)
LATENT = RNG.normal(-1.5, 1.3, 2_000)
LABEL = (RNG.random(2_000) < sigmoid(LATENT)).astype(np.int8)


def report(p, label=LABEL):
    who = np.array([f"r{n}" for n in range(len(p))])
    return evaluate(label, p, message_type=KINDS, recipient=who, base_rates={"*": 0.25}, seed=1)


GOOD = report(sigmoid(LATENT))


def failed(verdict):
    return {finding.condition for finding in verdict.findings if not finding.held}


def test_a_calibrated_model_with_skill_passes_alone_and_against_itself():
    assert passes_gate(GOOD, None).passed
    assert passes_gate(GOOD, GOOD).passed
    assert passes_gate(GOOD, GOOD).reasons == ()


def test_a_worse_challenger_is_refused_and_the_reason_carries_both_numbers():
    worse = report(sigmoid(LATENT + RNG.normal(0, 0.4, 2_000)))
    verdict = passes_gate(worse, GOOD)
    assert not verdict.passed
    assert Condition.BEATS_CHAMPION in failed(verdict)
    sentence = next(reason for reason in verdict.reasons if "champion's is" in reason)
    assert f"{worse.log_loss:.4f}" in sentence
    assert f"{GOOD.log_loss:.4f}" in sentence
    assert passes_gate(GOOD, worse).passed


def test_a_model_without_skill_is_refused():
    assert Condition.SKILL in failed(passes_gate(report(np.full(2_000, LABEL.mean())), None))


def test_a_ranking_too_good_to_be_true_is_refused():
    leaked = report(np.clip(0.97 * LABEL + 0.01 + 0.001 * sigmoid(LATENT), 0.01, 0.99))
    assert Condition.PLAUSIBLE in failed(passes_gate(leaked, None))
    assert Condition.PLAUSIBLE not in failed(passes_gate(leaked, None, limits=Limits(auc_at_most=1.0)))


@pytest.mark.parametrize(
    ("p", "condition"),
    [
        (sigmoid(2.0 * logit(sigmoid(LATENT))), Condition.SLOPE),
        (sigmoid(LATENT) / 2, Condition.OBSERVED_EXPECTED),
    ],
)
def test_a_model_that_does_not_mean_what_it_says_is_refused(p, condition):
    assert condition in failed(passes_gate(report(p), None))


def test_a_deviation_that_chance_explains_does_not_count_against_a_model():
    uncertain = replace(GOOD, slope=0.7, intervals={**GOOD.intervals, "slope": Interval(0.45, 0.95)})
    certain = replace(GOOD, slope=0.7, intervals={**GOOD.intervals, "slope": Interval(0.6, 0.8)})
    assert passes_gate(uncertain, None).passed
    assert failed(passes_gate(certain, None)) == {Condition.SLOPE}


def test_one_message_type_may_not_pay_for_the_others():
    champion = report(np.where(KINDS == "a", sigmoid(LATENT), sigmoid(0.2 * LATENT - 1.1)))
    challenger = report(np.where(KINDS == "a", sigmoid(0.5 * LATENT - 0.6), sigmoid(LATENT)))
    verdict = passes_gate(challenger, champion)
    assert Condition.NO_TYPE_WORSE in failed(verdict)
    assert any(reason.startswith("a: log-loss") for reason in verdict.reasons)


def test_reports_about_other_rows_are_not_compared():
    with pytest.raises(ValueError, match="other rows"):
        passes_gate(GOOD, report(sigmoid(LATENT), 1 - LABEL))


def test_every_condition_is_found_with_its_number_whether_it_held_or_not():
    verdict = passes_gate(GOOD, GOOD)
    assert {finding.condition for finding in verdict.findings} == set(Condition)
    assert all(np.isfinite([finding.number, finding.limit]).all() for finding in verdict.findings)
