"""Weekly utilities from weeks: planted gains are found, leaving costs a horizon, and too little is said."""

import numpy as np
import pytest

from models.volume import registered, score, train
from models.volume.spec import MOST_A_WEEK


def weeks(*, gain=1.0, leaves=0.0, people=90, each=20, seed=1):
    """Return weeks of people of three kinds; the keenest gain by each of the first three messages."""
    dice = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), each)
    kind = who % 3
    sent = dice.integers(0, 6, len(who))
    active = 3.0 * kind + gain * np.where(kind == 2, np.minimum(sent, 3), 0) + dice.random(len(who))
    left = (dice.random(len(who)) < leaves * sent).astype(float)
    return who, sent, active, left


def test_who_gains_by_messages_gets_them_and_who_gains_nothing_does_not():
    who, *rest = weeks()
    found = train.fit(who, *rest)
    values = found.values(found.segment(train.mean_activity(who, rest[1])))
    keen = np.arange(90) % 3 == 2
    given = score.assigned(values, total=60.0).level
    assert given[keen].sum() > 3 * given[~keen].sum()
    assert given.sum() <= 60
    assert given.max() <= MOST_A_WEEK


def test_leaving_makes_more_messages_worth_less():
    calm, leaving = (train.fit(*weeks(leaves=each)) for each in (0.0, 0.1))
    assert np.all(np.diff(leaving.leave) >= 0)
    top = np.array([2])
    assert leaving.values(top)[0, 5] < calm.values(top)[0, 5] - 1


def test_too_few_weeks_are_said_with_what_is_needed():
    with pytest.raises(train.NotEnoughData, match=r"not enough data: .* at least 1000 and 3 are needed"):
        train.fit(*weeks(people=3))
    who, sent, active, left = weeks()
    with pytest.raises(train.NotEnoughData, match="1 numbers of messages"):
        train.fit(who, np.ones_like(sent), active, left)


def test_a_version_is_read_as_it_was_written_and_anything_else_is_refused():
    found = train.fit(*weeks())
    read = registered.from_files(registered.to_files(found))
    assert np.array_equal(read.activity, found.activity)
    told = registered.Scorer(found).score(np.array([[7.0, 0.0], [7.0, 3.0]]))
    assert told[1] > told[0]
    for harm in ({}, {"parameters.json": b'{"bounds": [1], "activity": [[1]], "leave": [0]}'}):
        with pytest.raises(ValueError, match="expected"):
            registered.from_files(harm)
