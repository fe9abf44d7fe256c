"""What a message changes, from opens that would not have been visits."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from models.uplift import structural
from models.uplift.structural import NotEnoughData, Structural, Trial

ROWS = 6_000


def a_trial(*, harms: float = 0.0, seed: int = 0) -> tuple[Trial, np.ndarray]:
    """Return a trial in which opens depend on one feature and visits on another; some messages drive people away."""
    dice = np.random.default_rng(seed)
    x = dice.normal(size=(ROWS, 3))
    p_open = 1 / (1 + np.exp(2.5 - x[:, 0]))
    p_active = 1 / (1 + np.exp(-1.5 * x[:, 1]))
    leaves = harms * (x[:, 2] > 0)
    treated = dice.random(ROWS) < 0.5
    opened = treated & (dice.random(ROWS) < p_open)
    came = (dice.random(ROWS) < p_active) & ~(treated & (dice.random(ROWS) < leaves))
    effect = (1 - p_open) * p_active * (1 - leaves) + p_open - p_active
    active = (opened | came).astype(float)
    return Trial(x, treated, opened.astype(float), active, np.full(ROWS, 0.5), np.arange(ROWS)), effect


def ranked(told: np.ndarray, truth: np.ndarray) -> float:
    return float(np.corrcoef(told, truth)[0, 1])


@cache
def fitted() -> Structural:
    return structural.fit(a_trial()[0], seed=0)


def test_the_effect_is_small_where_people_come_anyway_and_large_where_they_open_and_do_not():
    trial, effect = a_trial()
    found = fitted().effect(trial.features)
    assert ranked(found, effect) > 0.9
    assert np.abs(found.mean() - effect.mean()) < 0.02


def test_where_opens_are_all_there_is_the_residual_is_not_trusted():
    assert fitted().share == 0


def test_where_messages_drive_people_away_the_residual_corrects_the_structure():
    trial, effect = a_trial(harms=0.8)
    found = structural.fit(trial, seed=0)
    p_open, p_active = found.chances(trial.features)
    assert found.share > 0
    assert ranked(found.effect(trial.features), effect) > ranked(p_open * (1 - p_active), effect)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda trial: trial.some(np.arange(ROWS) < 500), "decisions with a message"),
        (lambda trial: replace(trial, opened=np.zeros(ROWS)), "opens"),
        (lambda trial: replace(trial, active=trial.treated.astype(float)), "visits without a message"),
    ],
)
def test_too_little_is_not_enough_data(change, named):
    with pytest.raises(NotEnoughData, match=named):
        structural.fit(change(a_trial()[0]), seed=0)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"propensity": np.ones(ROWS)}, "propensity"),
        ({"opened": np.ones(ROWS)}, "opened"),
        ({"active": np.ones(3)}, "active"),
    ],
)
def test_a_trial_that_cannot_be_is_refused_by_name(change, named):
    with pytest.raises(ValueError, match=f"{named}: expected"):
        replace(a_trial()[0], **change)
