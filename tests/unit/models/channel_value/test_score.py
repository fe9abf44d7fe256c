"""Answers by channel, the value of a channel, the order of tries."""

import numpy as np
import pytest

from models.channel_value import score


def test_without_a_message_everybodys_rate_answers_and_with_many_the_own():
    sent = np.array([[0.0, 1e6]])
    found = score.shrunk(0.2 * sent, sent, np.array([0.03, 0.03]))
    assert found[0, 0] == pytest.approx(0.03)
    assert found[0, 1] == pytest.approx(0.2, abs=1e-4)


def test_one_answer_of_one_message_is_no_certainty():
    assert score.shrunk(np.ones((1, 1)), np.ones((1, 1)), np.array([0.03]))[0, 0] == pytest.approx(1.6 / 21)


@pytest.mark.parametrize(
    ("answered", "rate", "strength", "named"),
    [(2.0, 0.1, 1.0, "answered"), (1.0, 0.0, 1.0, "rate"), (1.0, 0.1, 0.0, "strength")],
)
def test_what_cannot_be_is_refused_by_name(answered, rate, strength, named):
    with pytest.raises(ValueError, match=f"{named}: expected"):
        score.shrunk(np.array([[answered]]), np.ones((1, 1)), np.array([rate]), strength)


def test_losing_a_channel_costs_fifty_days_and_never_less_than_nothing():
    assert score.loss(np.array([0.1, -0.1])).tolist() == [pytest.approx(5.0), 0.0]


def test_the_running_value_halves_in_four_weeks():
    assert score.running_value(np.ones(1), np.zeros(1), days=28.0)[0] == pytest.approx(0.5)


def test_the_order_of_tries_is_the_cheapest_expected_cost_of_all_orders():
    chance, cost, value = np.array([[0.5, 0.1, 0.3]]), np.array([0.4, 0.01, 0.09]), 10.0
    order = score.try_order(chance, value, cost)[0]

    def worth(tries):
        left, total = 1.0, 0.0
        for one in tries:
            total += left * (chance[0, one] * value - cost[one])
            left *= 1 - chance[0, one]
        return total

    best = max(
        ([a, b, c] for a in range(3) for b in range(3) for c in range(3) if len({a, b, c}) == 3),
        key=worth,
    )
    assert order.tolist() == best


def test_a_channel_without_a_chance_has_no_index():
    with pytest.raises(ValueError, match="chance: expected above 0"):
        score.index(np.zeros((1, 1)), 1.0, np.zeros(1))
