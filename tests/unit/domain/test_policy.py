"""Policies: the chances sum to one, keep their floor, and are those with which actions really come up."""

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import policy
from domain.policy import NO_SEND, Action, PolicyName, StageName
from domain.values import Channel

EMAIL_A, EMAIL_B = (Action(channel=Channel.EMAIL, variant_id=name) for name in "ab")
PUSH_A = Action(channel=Channel.PUSH, variant_id="a")
ACTIONS = (NO_SEND, EMAIL_A, EMAIL_B, PUSH_A)


def settled(chances, decision_id, options=ACTIONS):
    return policy.settle(StageName.VARIANT, PolicyName.UNIFORM, options, chances, decision_id=decision_id)


VALUES = st.lists(st.floats(-1, 1), min_size=1, max_size=40)
EPSILON = st.floats(0.001, 0.999)
TEMPERATURE = st.floats(1e-6, 10)


@given(VALUES, EPSILON, TEMPERATURE)
def test_softmax_sums_to_one_and_keeps_its_floor(values, epsilon, temperature):
    chances = policy.epsilon_softmax(values, epsilon=epsilon, temperature=temperature)
    assert math.isclose(math.fsum(chances), 1, abs_tol=1e-12)
    assert min(chances) >= epsilon / len(values) * (1 - 1e-12)


@given(VALUES, EPSILON, TEMPERATURE)
def test_a_better_action_is_never_less_likely(values, epsilon, temperature):
    chances = policy.epsilon_softmax(values, epsilon=epsilon, temperature=temperature)
    by_value = sorted(zip(values, chances, strict=True))
    assert all(low[1] <= high[1] + 1e-15 for low, high in pairwise(by_value))


def test_softmax_is_the_one_of_the_book():
    chances = policy.epsilon_softmax([0.0, 0.02], epsilon=0.1, temperature=0.02)
    odds = math.e / (1 + math.e)
    assert chances == pytest.approx([0.9 * (1 - odds) + 0.05, 0.9 * odds + 0.05], abs=1e-15)


def test_rules_take_the_first_send_that_is_offered():
    assert policy.first_send(ACTIONS) == (0.0, 1.0, 0.0, 0.0)
    assert policy.first_send((PUSH_A,)) == (1.0,)


@pytest.mark.parametrize("chances", [(0.2, 0.3, 0.1, 0.4), policy.uniform(4), policy.first_send(ACTIONS)])
def test_what_is_recorded_is_how_often_it_comes_up(chances):
    n = 40_000
    drawn = Counter(settled(chances, f"d-{i}").chosen for i in range(n))
    for place, chance in enumerate(chances):
        # Five standard errors: the draws are keyed, so this either always holds or never.
        assert abs(drawn[place] / n - chance) <= 5 * math.sqrt(chance * (1 - chance) / n)


def test_the_same_decision_always_draws_the_same():
    first, again = (settled(policy.uniform(4), "d") for _ in range(2))
    assert first == again
    assert first.probability == 0.25


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6).filter(any), st.integers(0, 10_000))
def test_an_action_without_a_chance_is_never_drawn(weights, number):
    chances = [weight / sum(weights) for weight in weights]
    actions = [Action(channel=Channel.EMAIL, variant_id=f"v{i}") for i in range(len(weights))]
    assert settled(chances, f"d-{number}", actions).probability > 0


@pytest.mark.parametrize("chances", [(0.5, 0.4, 0.0, 0.0), (0.5, 0.5), (math.nan, 0.0, 0.0, 1.0)])
def test_what_is_no_distribution_is_not_drawn_from(chances):
    with pytest.raises(ValueError, match="sum to 1"):
        settled(chances, "d")


def test_what_is_below_nothing_is_not_drawn_from():
    with pytest.raises(ValueError, match="below 0"):
        settled((1.5, -0.5, 0.0, 0.0), "d")


def test_each_stage_draws_on_its_own():
    n = 4_000

    def drawn(name, number):
        return policy.settle(name, PolicyName.UNIFORM, ACTIONS[:2], (0.5, 0.5), decision_id=f"d-{number}").chosen

    halves = [[drawn(name, i) for i in range(n)] for name in (StageName.CHANNEL, StageName.VARIANT)]
    agreeing = sum(first == second for first, second in zip(*halves, strict=True))
    assert abs(agreeing / n - 0.5) < 5 * 0.5 / math.sqrt(n)
