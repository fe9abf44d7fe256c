"""What one message is worth, beside what it takes away."""

import numpy as np
import pytest

from models.volume.worth import worth

ONE = np.array([0.1])


def test_a_message_is_worth_whom_it_brings_that_would_not_have_come():
    found = worth(np.array([0.1, 0.1]), np.array([0.0, 2.0]), np.zeros(2), loss=0.0, lasting=0.0)
    assert found == pytest.approx([0.1, 0.1 * np.exp(-2)])


def test_leaving_costs_its_chance_times_what_is_lost():
    assert worth(ONE, np.zeros(1), np.array([0.01]), loss=5.0, lasting=0.0) == pytest.approx([0.1 - 0.05])


def test_lasting_harm_falls_on_visits_and_less_where_it_is_opened():
    ignored, opened = (
        worth(np.array([chance]), np.ones(1), np.zeros(1), loss=0.0, lasting=0.2) - chance * np.exp(-1)
        for chance in (0.0, 1.0)
    )
    assert ignored == pytest.approx([-0.2 * np.exp(-1)])
    assert opened == pytest.approx(0.3 * ignored)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"p_open": np.array([1.1])}, "p_open: expected 0 to 1"),
        ({"visits": np.array([-1.0])}, "visits: expected at least 0"),
        ({"p_out": np.array([-0.1])}, "p_out: expected 0 to 1"),
        ({"loss": -1.0}, "loss: expected at least 0"),
        ({"lasting": float("nan")}, "lasting: expected at least 0"),
    ],
)
def test_what_cannot_be_is_refused(change, told):
    given = {"p_open": ONE, "visits": ONE, "p_out": ONE, "loss": 1.0, "lasting": 0.1} | change
    with pytest.raises(ValueError, match=told):
        worth(given.pop("p_open"), given.pop("visits"), given.pop("p_out"), **given)
