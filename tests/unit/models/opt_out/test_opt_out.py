"""The chance of leaving, from a strong belief and few who left."""

import numpy as np
import pytest
from scipy.special import expit

from models.channel_value.spec import PRIOR_OPT_OUT
from models.opt_out import score, train
from models.opt_out.spec import CHANNELS

PUSH, SMS = CHANNELS.index("push"), CHANNELS.index("sms")


def test_before_any_message_the_prior_answers():
    found = score.chance(np.arange(len(CHANNELS)), np.zeros(len(CHANNELS)))
    assert found.tolist() == pytest.approx(list(PRIOR_OPT_OUT.values()))


def test_the_weary_leave_more_often():
    found = score.chance(np.full(2, SMS), np.array([0.0, 5.0]))
    assert found[1] > 1.5 * found[0]


def test_ten_messages_without_anybody_leaving_hardly_change_the_belief_and_many_do():
    few, many = (train.fit(np.full(count, SMS), np.zeros(count), np.zeros(count)) for count in (10, 20_000))
    prior = PRIOR_OPT_OUT["sms"]
    assert score.chance(np.array([SMS]), np.zeros(1), few)[0] > 0.9 * prior
    assert score.chance(np.array([SMS]), np.zeros(1), many)[0] < 0.2 * prior
    assert not many.is_learnt


def test_a_tenants_own_rate_and_slope_are_found():
    dice = np.random.default_rng(0)
    channel, weary = np.full(200_000, PUSH), dice.uniform(0, 8, 200_000)
    left = (dice.random(len(weary)) < expit(-6.0 + 0.3 * weary)).astype(float)
    found = train.fit(channel, weary, left)
    assert found.is_learnt
    assert found.coefficients[PUSH] == pytest.approx(-6.0, abs=0.2)
    assert found.coefficients[-1] == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize(
    ("channel", "weary", "left", "named"),
    [(9, 0.0, 0.0, "channel"), (0, -1.0, 0.0, "weariness"), (0, 0.0, 2.0, "left")],
)
def test_what_cannot_be_is_refused_by_name(channel, weary, left, named):
    with pytest.raises(ValueError, match=f"{named}: expected"):
        train.fit(np.array([channel]), np.array([weary]), np.array([left]))
