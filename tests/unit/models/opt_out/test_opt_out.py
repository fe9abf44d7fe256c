"""The chance of leaving, from a strong belief and few who left."""

import json

import numpy as np
import pytest
from scipy.special import expit

from models.channel_value.spec import PRIOR_OPT_OUT
from models.opt_out import evaluate, registered, score, train
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


def test_weariness_counts_nothing_where_those_who_bear_most_messages_leave_least():
    dice = np.random.default_rng(1)
    channel, weary = np.full(50_000, PUSH), dice.uniform(0, 8, 50_000)
    left = (dice.random(len(weary)) < expit(-3.0 - 0.3 * weary)).astype(float)
    found = train.fit(channel, weary, left)
    assert found.coefficients[-1] == 0
    assert expit(found.coefficients[PUSH]) == pytest.approx(left.mean(), rel=0.05)


def test_skill_is_none_for_the_prior_and_above_it_for_who_knows_the_rate():
    channel, weary = np.full(20_000, SMS), np.zeros(20_000)
    left = (np.random.default_rng(2).random(len(weary)) < 0.05).astype(float)
    assert evaluate.skill(train.PRIOR, channel, weary, left) == 0
    assert evaluate.skill(train.fit(channel, weary, left), channel, weary, left) > 0.1
    assert evaluate.skill(train.PRIOR, channel[:0], weary[:0], left[:0]) == 0


def test_a_registered_version_reads_back_and_scores_by_channel_and_weariness():
    found = train.fit(np.full(500, SMS), np.ones(500), np.zeros(500))
    files = registered.to_files(found)
    again = registered.from_files(files)
    assert (again.coefficients.tolist(), again.left, again.is_learnt) == (found.coefficients.tolist(), 0, False)
    rows = np.array([[SMS, 2.0], [PUSH, 0.0]])
    expected = score.chance(np.array([SMS, PUSH]), np.array([2.0, 0.0]), found)
    assert registered.Scorer.from_files(files).score(rows) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"log_odds": {}}, "log_odds"), ({"on_weariness": -0.1}, "on_weariness"), ({"left": None}, "left")],
)
def test_a_registered_version_that_cannot_be_is_refused_by_name(change, named):
    told = json.loads(registered.to_files(train.PRIOR)[registered.FILE]) | change
    with pytest.raises(ValueError, match=named):
        registered.from_files({registered.FILE: json.dumps(told).encode()})
