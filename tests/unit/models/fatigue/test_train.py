"""Dynamics of weariness from messages in their order: what was planted is found, and too little is said."""

import numpy as np
import pytest
from scipy.special import expit, logit

from models.fatigue import registered, train
from models.fatigue.spec import PRIOR, Dynamics

RESTED = 0.3


def messages(half_life, slope, *, people=150, each=40, seed=1):
    """Return recipient, day, load, opened and the chance rested, of messages at random gaps."""
    dice = np.random.default_rng(seed)
    who, at, opened = [], [], []
    for person in range(people):
        day = weary = 0.0
        for _ in range(each):
            gap = float(dice.choice([0.2, 1.0, 6.0]))
            day, weary = day + gap, weary * 2 ** (-gap / half_life)
            did = float(dice.random() < expit(logit(RESTED) + slope * weary))
            weary += 0.4 if did else 1.1
            who.append(person), at.append(day), opened.append(did)
    count = len(who)
    return np.array(who), np.array(at), np.ones(count), np.array(opened), np.full(count, RESTED)


def test_a_planted_slope_and_half_life_are_found():
    found = train.fit(*messages(4.0, -0.4))
    assert found.fitted
    assert found.half_life_days == 4.0
    assert -0.5 < found.on_open < -0.3


def test_where_nobody_tires_nothing_is_found():
    assert train.fit(*messages(2.0, 0.0)).on_open > -0.05


def test_weariness_before_a_message_is_that_of_the_messages_before_it_and_of_nobody_else():
    at, opened = np.array([0.0, 2.0, 2.0, 9.0]), np.array([0, 1, 0, 0])
    found = train.before_each(np.array([0, 0, 0, 1]), at, np.ones(4), opened, 2.0)
    assert found == pytest.approx([0, 0.55, 0.95, 0])


def test_too_few_weary_is_said_with_what_is_needed():
    who, at, load, opened, rested = messages(2.0, -0.1, people=3)
    with pytest.raises(train.NotEnoughData, match=r"not enough data: .* at least 500 and 50"):
        train.fit(who, at, load, opened, rested)


def test_a_version_is_read_as_it_was_written_and_anything_else_is_refused():
    found = Dynamics(4.0, -0.3, 0.1, fitted=True)
    assert registered.from_files(registered.to_files(found)) == found
    tired = registered.Scorer(found).score(np.array([[0.3, 0.0], [0.3, 2.0]]))
    assert tired[0] == pytest.approx(0.3)
    assert tired[1] < tired[0]
    for harm in ({}, {"parameters.json": b"{}"}):
        with pytest.raises(ValueError, match="expected half_life_days"):
            registered.from_files(harm)
    with pytest.raises(ValueError, match="on_open: expected at most 0"):
        Dynamics(on_open=0.1)
    assert not PRIOR.fitted
