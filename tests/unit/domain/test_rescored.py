"""A recorded choice under another model's numbers is what the policy would have drawn from them."""

import pytest

from domain import policy, rescored
from domain.expected import ChannelTerms
from domain.policy import NO_SEND, Action, PolicyName, StageName
from domain.values import Channel
from tests.builders import SETTINGS

OPTIONS = [NO_SEND, Action(channel=Channel.EMAIL), Action(channel=Channel.PUSH)]
TERMS = {
    name: ChannelTerms(p_open=0.1, p_active=0.3, p_convert=p, p_opt_out=0.001, channel_value=1.0, cost=0.02)
    for name, p in (("email", 0.05), ("push", 0.1))
}
EXPECTED = {"channels": {name: each.model_dump(mode="json") for name, each in TERMS.items()}}


def a_stage(name=PolicyName.EPSILON_SOFTMAX):
    values = [0.0, *(each.net(SETTINGS.weights) for each in TERMS.values())]
    chances = policy.epsilon_softmax(values, epsilon=SETTINGS.epsilon, temperature=SETTINGS.temperature)
    return policy.settle(StageName.CHANNEL, name, OPTIONS, chances, decision_id="d").model_dump(mode="json")


def test_the_recorded_numbers_give_the_recorded_chances():
    stage = a_stage()
    same = rescored.probabilities(stage, EXPECTED, SETTINGS.model_dump(mode="json"), {"email": 0.05, "push": 0.1})
    assert same == pytest.approx(tuple(stage["probabilities"]), abs=1e-15)


def test_a_model_that_sees_more_in_a_channel_draws_it_more_often():
    stage = a_stage()
    other = rescored.probabilities(stage, EXPECTED, SETTINGS.model_dump(mode="json"), {"email": 0.3, "push": 0.1})
    assert other[1] > stage["probabilities"][1]
    assert sum(other) == pytest.approx(1)
    assert rescored.options(stage) == ("nothing", "email", "push")


def test_the_hold_out_asks_no_model():
    stage = a_stage(PolicyName.UNIFORM)
    settings = SETTINGS.model_dump(mode="json")
    assert rescored.probabilities(stage, EXPECTED, settings, {}) == tuple(stage["probabilities"])


def test_a_channel_without_a_chance_is_a_fault():
    with pytest.raises(KeyError, match="push"):
        rescored.probabilities(a_stage(), EXPECTED, SETTINGS.model_dump(mode="json"), {"email": 0.3})
