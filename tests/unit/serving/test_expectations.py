"""What is expected before anything was learnt: priors by channel, moved by how weary of messages somebody is."""

from datetime import timedelta

import numpy as np
import pytest
from scipy.special import logit

from domain.contact_budget import Contact, Spent
from domain.gates import screen
from domain.values import Channel
from models.fatigue.spec import Dynamics
from models.opt_out.spec import CHANNELS
from models.opt_out.train import PRIOR, Hazard
from serving.decision_explanations import tired
from serving.expectations import expected
from serving.fitted import Fitted
from serving.scoring import Scored
from tests.builders import NOON, a_price, a_request, a_situation

EMAIL, PUSH = Channel.EMAIL, Channel.PUSH


def believed(*situations, scored=None, **fields):
    screened = [screen(a_request(), each) for each in situations]
    told = [scored] * len(situations)
    return expected(situations, screened, told, send_cost=0.01, **fields)


def wearied(*days, channel=PUSH):
    contacts = tuple(Contact(channel=channel, at=NOON - timedelta(days=each)) for each in days)
    return a_situation(allowances={"spent": Spent(contacts, {}, NOON)})


def test_everybody_unknown_is_expected_the_priors():
    (told,) = believed(a_situation())
    assert {channel: (each.p_open, each.fatigue) for channel, each in told.channels.items()} == {
        EMAIL: (pytest.approx(0.018), 0.0), PUSH: (pytest.approx(0.035), 0.0)
    }  # fmt: skip
    assert not told.can_value
    assert not told.is_personal


def test_messages_tire_by_channel_and_the_tiredness_halves_in_two_days():
    fresh, old, mailed = believed(wearied(0), wearied(2), wearied(0, channel=EMAIL))
    assert fresh.channels[PUSH].fatigue == pytest.approx(1.1)
    assert old.channels[PUSH].fatigue == pytest.approx(0.55)
    assert mailed.channels[PUSH].fatigue == pytest.approx(0.66)
    assert fresh.channels[EMAIL].p_open < old.channels[EMAIL].p_open
    assert fresh.channels[EMAIL].p_opt_out > old.channels[EMAIL].p_opt_out


def test_the_base_rates_of_leaving_hold_until_a_hazard_was_fitted_which_then_counts_by_channel_and_weariness():
    (prior,) = believed(a_situation())
    assert (prior.channels[EMAIL].p_opt_out, prior.channels[PUSH].p_opt_out) == pytest.approx((0.0015, 0.0008))
    learnt = PRIOR.coefficients + np.array([0.5] * len(CHANNELS) + [0.1])
    fitted = Fitted(hazard=Hazard(learnt, 40, is_learnt=True), versions={"opt_out": "7"})
    rested, weary = believed(a_situation(), wearied(0), fitted=fitted)
    assert logit(rested.channels[EMAIL].p_opt_out) == pytest.approx(logit(0.0015) + 0.5)
    assert logit(weary.channels[EMAIL].p_opt_out) == pytest.approx(logit(0.0015) + 0.5 + 0.25 * 1.1)
    assert (rested.models, rested.slopes.on_opt_out) == ({"opt_out": "7"}, pytest.approx(0.25))


@pytest.mark.parametrize("half_life", [0.5, 2.0, 8.0])
def test_leaving_is_judged_by_weariness_as_it_faded_where_the_hazard_was_fitted(half_life):
    (usual,) = believed(wearied(2))
    (told,) = believed(wearied(2), fitted=Fitted(dynamics=Dynamics(half_life_days=half_life)))
    assert told.channels[PUSH].fatigue == pytest.approx(1.1 * 2 ** (-2 / half_life))
    assert told.channels[PUSH].p_opt_out == pytest.approx(usual.channels[PUSH].p_opt_out)
    # So that the recorded slope leads back to somebody rested.
    rested = tired(told.channels[PUSH], 0.0, told.slopes)
    assert rested.p_opt_out == pytest.approx(0.0008)


def test_what_the_model_said_goes_in_by_channel_and_makes_it_personal():
    paced = a_situation(prices=a_price(push=0.05))
    (told,) = believed(paced, scored=Scored({EMAIL: 0.2, PUSH: 0.1}, None))
    assert (told.channels[EMAIL].p_convert, told.channels[PUSH].p_convert) == (0.2, 0.1)
    assert (told.channels[EMAIL].price, told.channels[PUSH].price) == (0.0, 0.05)
    assert told.is_personal
    assert told.can_value


def test_a_batch_is_believed_as_each_would_be_alone():
    many = [wearied(0), a_situation(), wearied(1, 3), a_situation(allowances={"consents": ()})]
    assert believed(*many) == [each for situation in many for each in believed(situation)]
    assert believed() == []
