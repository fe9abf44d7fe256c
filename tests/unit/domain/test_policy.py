"""Policies: the chances sum to one, keep their floor, and are those with which actions really come up."""

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import policy
from domain.policy import NO_SEND, Action, PolicyName
from domain.values import Channel

EMAIL_A, EMAIL_B = (Action(channel=Channel.EMAIL, variant_id=name) for name in "ab")
PUSH_A = Action(channel=Channel.PUSH, variant_id="a")
ACTIONS = (NO_SEND, EMAIL_A, EMAIL_B, PUSH_A)

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


def test_rules_take_the_first_channel_and_spread_over_its_variants():
    assert policy.rules(ACTIONS) == (0.0, 0.5, 0.5, 0.0)
    assert policy.rules((PUSH_A,)) == (1.0,)


@pytest.mark.parametrize("chances", [(0.2, 0.3, 0.1, 0.4), policy.uniform(4), policy.rules(ACTIONS)])
def test_what_is_recorded_is_how_often_it_comes_up(chances):
    n = 40_000
    drawn = Counter(policy.choose(PolicyName.UNIFORM, ACTIONS, chances, decision_id=f"d-{i}").chosen for i in range(n))
    for place, chance in enumerate(chances):
        # Five standard errors: the draws are keyed, so this either always holds or never.
        assert abs(drawn[place] / n - chance) <= 5 * math.sqrt(chance * (1 - chance) / n)


def test_the_same_decision_always_draws_the_same():
    first, again = (policy.choose(PolicyName.UNIFORM, ACTIONS, policy.uniform(4), decision_id="d") for _ in range(2))
    assert first == again
    assert first.probability == 0.25


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6).filter(any), st.integers(0, 10_000))
def test_an_action_without_a_chance_is_never_drawn(weights, number):
    chances = [weight / sum(weights) for weight in weights]
    actions = [Action(channel=Channel.EMAIL, variant_id=f"v{i}") for i in range(len(weights))]
    choice = policy.choose(PolicyName.RULES, actions, chances, decision_id=f"d-{number}")
    assert choice.probability > 0


@pytest.mark.parametrize("chances", [(0.5, 0.4, 0.0, 0.0), (0.5, 0.5)])
def test_what_is_no_distribution_is_not_drawn_from(chances):
    with pytest.raises(ValueError, match="sum to 1"):
        policy.choose(PolicyName.UNIFORM, ACTIONS, chances, decision_id="d")
