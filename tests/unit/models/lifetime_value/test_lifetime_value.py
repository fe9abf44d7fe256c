"""Lifetime value: parameters that are known come back, what is told agrees with what happens, too little is refused."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, gamma

from models.lifetime_value import bg_nbd, gamma_gamma, value
from models.lifetime_value.bg_nbd import BgNbd
from models.lifetime_value.gamma_gamma import GammaGamma
from models.lifetime_value.summary import Customers, NotEnoughData, of_purchases
from tests.made_customers import TRUE, TRUE_SPEND, customers, lives

CDNOW = BgNbd(0.24259, 4.41353, 0.79289, 2.42575)
"""As published for the 2,357 customers of CDNOW."""


@pytest.fixture(scope="module")
def many():
    return customers(10_000)


def test_known_parameters_of_purchases_come_back(many):
    found = bg_nbd.fit(many)
    for name, true in TRUE.items():
        assert getattr(found, name) == pytest.approx(true, rel=0.15), name


def test_known_parameters_of_spend_come_back(many):
    found = gamma_gamma.fit(many)
    for name, true in TRUE_SPEND.items():
        assert getattr(found, name) == pytest.approx(true, rel=0.15), name
    assert abs(found.correlation) < 0.05


def test_the_fit_is_the_most_likely_and_better_than_the_truth(many):
    found = bg_nbd.fit(many)
    assert found.log_likelihood >= bg_nbd.log_likelihood(BgNbd(**TRUE), many)
    for name in TRUE:
        for factor in (0.99, 1.01):
            parameters = {key: getattr(found, key) for key in TRUE} | {name: getattr(found, name) * factor}
            assert bg_nbd.log_likelihood(BgNbd(**parameters), many) < found.log_likelihood


def test_the_unit_of_time_scales_alpha_alone():
    weeks = customers(1000)
    days = Customers.of(weeks.frequency, weeks.recency * 7, weeks.age * 7, weeks.spend)
    one, seven = bg_nbd.fit(weeks), bg_nbd.fit(days)
    np.testing.assert_allclose(
        [seven.r, seven.alpha / 7, seven.a, seven.b], [one.r, one.alpha, one.a, one.b], rtol=1e-4
    )


@pytest.mark.parametrize(("often", "last", "old"), [(0, 0.0, 10.0), (1, 4.0, 10.0), (3, 8.5, 12.0)])
def test_the_likelihood_is_the_integral_of_the_story(often, last, old):
    law, places = BgNbd(**TRUE), (np.arange(1500) + 0.5) / 1500
    rate = gamma.ppf(places, law.r, scale=1 / law.alpha)[:, None]
    leaves = beta.ppf(places, law.a, law.b)[None, :]
    stays = (1 - leaves) ** often * rate**often * np.exp(-rate * old)
    left = leaves * (1 - leaves) ** (often - 1) * rate**often * np.exp(-rate * last) if often else 0.0
    one = Customers.of([often], [last], [old])
    assert bg_nbd.log_likelihood(law, one) == pytest.approx(np.log((stays + left).mean()), abs=2e-3)


def test_published_values_of_one_customer_are_told():
    one = Customers.of([2], [30.43], [38.86])
    assert CDNOW.expected_purchases(one, 39.0)[0] == pytest.approx(1.226, abs=5e-4)
    assert CDNOW.alive(one)[0] == pytest.approx(0.7266, abs=5e-4)


def test_published_spend_of_cdnow_is_told():
    published = GammaGamma(6.25, 3.74, 15.44)
    one = Customers.of([2, 0], [30.43, 0], [38.86, 38.86], [22.35, np.nan])
    np.testing.assert_allclose(published.expected_spend(one), [24.65, 35.2], atol=0.1)


def test_expected_purchases_are_those_that_came():
    made, later = lives(20_000, seed=3, ages=(30.0, 60.0), ahead=30.0)
    told = BgNbd(**TRUE).expected_purchases(made, 30.0)
    for group in (made.frequency == 0, made.frequency == 1, made.frequency >= 2):
        assert later[group].mean() == pytest.approx(told[group].mean(), rel=0.06)


def test_who_was_here_lately_is_more_likely_alive_and_who_bought_once_is_alive():
    made = Customers.of([3, 3, 0], [35.0, 10.0, 0.0], [40.0, 40.0, 40.0])
    lately, long_ago, once = CDNOW.alive(made)
    assert 0 < long_ago < lately < once == 1.0


def test_next_to_a_of_one_the_expectation_does_not_jump():
    made = Customers.of([2], [5.0], [9.0])
    beside = [BgNbd(0.8, 6.0, a, 2.5).expected_purchases(made, 10.0)[0] for a in (0.9999, 1.0, 1.0001)]
    assert beside[1] == pytest.approx(np.mean([beside[0], beside[2]]), rel=1e-6)


def test_a_spend_that_was_seen_often_counts_more_than_the_population():
    law = GammaGamma(**TRUE_SPEND)
    mean = law.p * law.gamma / (law.q - 1)
    seldom, often = law.expected_spend(Customers.of([1, 50], [5.0, 8.0], [9.0, 9.0], [300.0, 300.0]))
    assert mean < seldom < often < 300.0
    assert often > 280.0


def test_without_a_mean_who_was_never_seen_has_no_spend():
    found = GammaGamma(6.0, 0.8, 15.0).expected_spend(Customers.of([0, 2], [0, 3.0], [9.0, 9.0], [np.nan, 20.0]))
    assert np.isnan(found[0])
    assert found[1] > 0


def test_worth_is_purchases_times_spend_and_less_when_discounted():
    made = customers(3000)
    model = value.fit(made)
    assert model.warnings == ()
    plain = model.worth(made, periods=6, length=5.0)
    whole = model.purchases.expected_purchases(made, 30.0) * model.spend.expected_spend(made)
    np.testing.assert_allclose(plain, whole, rtol=1e-9)
    discounted = model.worth(made, periods=6, length=5.0, discount=0.1)
    assert ((discounted < plain / 1.1 * 1.0001) & (discounted > plain / 1.1**6)).all()


def test_amounts_that_go_with_frequency_are_told():
    made = customers(2000)
    spend = np.where(made.frequency > 0, 5 + 10 * made.frequency, np.nan)
    model = value.fit(Customers.of(made.frequency, made.recency, made.age, spend))
    assert "go together" in model.warnings[0]


@pytest.mark.parametrize(("count", "repeaters"), [(99, 60), (500, 29), (0, 0)])
def test_too_few_customers_are_not_enough_data(count, repeaters):
    often = np.zeros(count)
    often[:repeaters] = 2
    made = Customers.of(often, np.where(often > 0, 3.0, 0.0), np.full(count, 9.0))
    with pytest.raises(NotEnoughData, match=f"{count} customers, {repeaters} of them came back"):
        bg_nbd.fit(made)


def test_too_few_amounts_leave_purchases_and_refuse_worth():
    made = customers(500)
    model = value.fit(Customers.of(made.frequency, made.recency, made.age))
    assert model.spend is None
    assert "not enough data" in model.warnings[0]
    with pytest.raises(NotEnoughData):
        model.worth(made, periods=1, length=1.0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"frequency": [1.5, 0]}, "frequency"),
        ({"frequency": [-1, 0]}, "frequency"),
        ({"recency": [11.0, 0]}, "recency: expected 0 to age"),
        ({"recency": [0.0, 0]}, "recency: expected 0 where"),
        ({"age": [np.inf, 3]}, "age"),
        ({"spend": [0.0, np.nan]}, "spend"),
        ({"age": [10.0]}, "as many values"),
    ],
)
def test_impossible_customers_are_refused_by_name(change, told):
    parts = {"frequency": [2, 0], "recency": [5.0, 0.0], "age": [10.0, 3.0], "spend": [4.0, np.nan]} | change
    with pytest.raises(ValueError, match=told):
        Customers.of(**parts)


def test_purchases_of_one_day_are_one_and_later_ones_are_left_out():
    days = ["2025-01-01 09:00", "2025-01-05 10:00", "2025-01-05 18:00", "2025-01-20 08:00", "2025-01-02 00:00"]
    rows = pd.DataFrame(
        {
            "recipient_id": ["a", "a", "a", "a", "b"],
            "at": pd.to_datetime(days, utc=True),
            "amount": [1.0, 4.0, 6.0, 99.0, 2.0],
        }
    )
    ids, made = of_purchases(rows, end=pd.Timestamp("2025-01-11", tz="UTC"))
    assert list(ids) == ["a", "b"]
    assert made.frequency.tolist() == [1, 0]
    assert made.recency.tolist() == [4, 0]
    assert made.age.tolist() == [10, 9]
    assert made.spend[0] == 10.0
    assert np.isnan(made.spend[1])
