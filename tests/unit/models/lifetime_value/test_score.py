"""A registered model of customers gives from its files what it gave when it was fitted."""

import json

import numpy as np
import pytest

from models.lifetime_value import score, spec
from models.lifetime_value.bg_nbd import BgNbd
from models.lifetime_value.gamma_gamma import GammaGamma
from models.lifetime_value.summary import Customers, NotEnoughData
from models.lifetime_value.value import LifetimeValue

FITTED = LifetimeValue(BgNbd(0.24, 4.4, 0.8, 2.4), GammaGamma(6.0, 4.0, 15.0))
CUSTOMERS = Customers.of([3, 0, 1], [20.0, 0.0, 2.0], [30.0, 30.0, 30.0], [40.0, np.nan, 10.0])


def test_the_files_give_the_same_numbers():
    rows = score.rows(CUSTOMERS)
    value = score.Scorer.from_files(score.to_files(spec.VALUE, FITTED)).score(rows)
    np.testing.assert_array_equal(value, FITTED.worth(CUSTOMERS, periods=1, length=spec.HORIZON_DAYS))
    gone = score.Scorer.from_files(score.to_files(spec.CHURN, FITTED)).score(rows)
    np.testing.assert_array_equal(gone, 1 - FITTED.purchases.alive(CUSTOMERS))
    assert gone[2] > gone[0] > gone[1] == 0


def test_spending_is_not_told_where_it_was_not_learned():
    scorer = score.Scorer.from_files(score.to_files(spec.VALUE, LifetimeValue(FITTED.purchases, None)))
    with pytest.raises(NotEnoughData):
        scorer.score(score.rows(CUSTOMERS))


@pytest.mark.parametrize(
    "files",
    [{}, {score.FILE: b"{}"}, {score.FILE: json.dumps({"model": "x", "purchases": {"r": 1}, "spend": None}).encode()}],
)
def test_other_files_are_refused_by_name(files):
    with pytest.raises(ValueError, match=r"parameters\.json"):
        score.Scorer.from_files(files)


def test_a_row_that_is_no_customer_is_refused():
    scorer = score.Scorer.from_files(score.to_files(spec.CHURN, FITTED))
    with pytest.raises(ValueError, match="recency"):
        scorer.score(np.array([[1.0, 40.0, 30.0, np.nan]]))
