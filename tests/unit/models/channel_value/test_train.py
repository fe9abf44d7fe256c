"""How much everybody's answers count, and what they tell of later ones."""

import numpy as np
import pytest

from models.channel_value import dataset, evaluate, score, train

PRIOR = np.array([0.05])


def people(strength: float, count: int = 4000, sends: int = 40, rate: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    dice = np.random.default_rng(0)
    own = dice.beta(rate * strength, (1 - rate) * strength, (count, 1))
    return dice.binomial(sends, own).astype(float), dice.binomial(sends, own).astype(float)


@pytest.mark.parametrize("strength", [5.0, 20.0, 80.0])
def test_the_strength_that_people_were_drawn_with_is_found(strength):
    answered, _ = people(strength)
    found = train.fit(answered, np.full_like(answered, 40), PRIOR)
    assert found.strength[0] == pytest.approx(strength, rel=0.35)
    assert found.rate[0] == pytest.approx(0.1, abs=0.01)


def test_shrunk_answers_tell_later_ones_better_than_everybodys_rate():
    answered, later = people(20.0)
    sent = np.full_like(answered, 40)
    fitted = train.fit(answered, sent, PRIOR)
    chance = score.shrunk(answered, sent, fitted.rate, fitted.strength)
    assert evaluate.skill(chance, fitted.rate, later, sent) > 0.02


def test_people_who_do_not_differ_are_all_taken_for_everybody():
    answered, later = people(1e6)
    sent = np.full_like(answered, 40)
    fitted = train.fit(answered, sent, PRIOR)
    assert fitted.strength[0] > 500
    chance = score.shrunk(answered, sent, fitted.rate, fitted.strength)
    assert abs(evaluate.skill(chance, fitted.rate, later, sent)) < 0.003


def test_a_channel_hardly_used_keeps_its_prior():
    answered, sent = np.zeros((10, 1)), np.ones((10, 1))
    found = train.fit(answered, sent, PRIOR)
    assert found.fitted == (False,)
    assert found.strength[0] == 20
    assert found.rate[0] == pytest.approx(0.05 * 50 / 60)


def test_a_message_of_two_months_ago_counts_half():
    yes, sent = dataset.answered_and_sent(
        np.array([1]), np.array([0]), np.array([60.0]), np.array([1.0]), recipients=2, channels=2
    )
    assert yes.tolist() == sent.tolist() == [[0, 0], [0.5, 0]]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"recipient": 2}, "recipient"),
        ({"channel": 2}, "channel"),
        ({"age": -1.0}, "age_days"),
        ({"yes": 0.5}, "answered"),
    ],
)
def test_a_message_that_cannot_be_is_refused_by_name(changed, named):
    given = {"recipient": 0, "channel": 0, "age": 0.0, "yes": 0.0} | changed
    with pytest.raises(ValueError, match=f"{named}: expected"):
        dataset.answered_and_sent(*(np.array([value]) for value in given.values()), recipients=2, channels=2)


def test_without_a_later_message_there_is_nothing_to_judge():
    with pytest.raises(ValueError, match="sent: expected at least one"):
        evaluate.skill(np.ones((1, 1)) / 2, PRIOR, np.zeros((1, 1)), np.zeros((1, 1)))
