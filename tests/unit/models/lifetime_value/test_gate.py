"""The gate of the customers' models: a good one passes, and each way of being bad is refused with its number."""

from dataclasses import replace

import numpy as np
import pytest

from models.lifetime_value import bg_nbd, gate, spec
from models.lifetime_value.gate import Judged, Shown
from models.promotion.finding import Claim
from tests import made_customers

COUNT = 2_000
DAYS = 30.0


@pytest.fixture(scope="module")
def silent():
    """Customers whose law is known, and who of them bought nothing in the next 30 days."""
    customers, later = made_customers.lives(COUNT, seed=3, ages=(60.0, 120.0), ahead=DAYS)
    model = bg_nbd.BgNbd(**made_customers.TRUE)
    told = model.silent(customers, DAYS)
    came = (later == 0).astype(np.float64)
    return Judged(spec.CHURN, told, came, float(came.mean()) * 0.95, told, told)


@pytest.fixture(scope="module")
def spent():
    """Customers of differing rates, told exactly, and the amounts they spent: often nothing."""
    dice = np.random.default_rng(4)
    rate = dice.gamma(0.8, 0.5, COUNT)
    came = np.array([dice.gamma(3.0, 700.0, count).sum() for count in dice.poisson(rate)])
    return Judged(spec.VALUE, rate * 2_100, came, 800.0, rate * 2_100, None)


def held(found):
    return {each.condition: each.held for each in found}


def test_the_chance_of_silence_is_what_comes(silent):
    assert silent.told.mean() == pytest.approx(silent.came.mean(), abs=0.03)
    with pytest.raises(ValueError, match="time"):
        bg_nbd.BgNbd(**made_customers.TRUE).silent(made_customers.customers(10), 0.0)


def test_a_good_model_passes(silent, spent):
    for judged in (silent, spent):
        assert set(held(gate.findings(judged)).values()) == {True}, judged.name
        assert judged.skill > 0.05


def test_a_constant_or_the_wrong_order_has_no_skill(silent, spent):
    backwards = replace(silent, told=1 - silent.told)
    assert held(gate.findings(backwards)) | {"champion.loss": None} == {
        "skill": False, "rank": False, "observed_expected": False, "champion.loss": None,
    }  # fmt: skip
    noise = replace(spent, told=np.random.default_rng(1).permutation(spent.told))
    assert not held(gate.findings(noise))["skill"]


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_what_is_expected_too_often_or_too_seldom_is_not_calibrated(spent, factor):
    [each] = [
        each for each in gate.findings(replace(spent, told=spent.told * factor)) if each.claim is Claim.CALIBRATED
    ]
    assert not each.held
    assert each.number == pytest.approx(1 / factor, rel=0.1)


def test_a_worse_one_than_the_champion_is_refused_with_both_losses(silent):
    worse = replace(silent, final=np.clip(silent.told + 0.3, 0.01, 0.99))
    each = next(each for each in gate.findings(worse) if each.condition == "champion.loss")
    assert (each.held, "the champion's" in each.sentence) == (False, True)


def test_few_customers_and_no_time_before_tell_nothing(silent):
    few = replace(silent, told=silent.told[:50], came=silent.came[:50])
    assert [(each.held, each.number) for each in gate.findings(few)] == [(True, None)]
    skill = next(each for each in gate.findings(replace(silent, base=None)) if each.condition == "skill")
    assert (skill.held, skill.number) == (True, None)


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({}, set()),
        ({"scores": np.array([0.2, np.nan])}, {"canary.finite"}),
        ({"scores": np.array([0.2, 1.2])}, {"canary.finite"}),
        ({"scores": np.zeros(0), "problem": "it raised"}, {"canary.finite"}),
        ({"size": 65 * 1024 * 1024}, {"size.bytes"}),
        ({"milliseconds": 11.0}, {"latency.milliseconds"}),
    ],
)
def test_what_cannot_serve_is_refused(change, broken):
    shown = replace(Shown(np.array([0.0, 0.4]), None, 200, 0.5), **change)
    assert {name for name, is_held in held(gate.fit_to_serve(spec.CHURN, shown)).items() if not is_held} == broken
