"""What a challenger said as a shadow: too few live messages tell nothing, a worse one is refused with its numbers."""

import numpy as np
import pytest

from models.promotion import shadow
from models.promotion.rows import Scored
from models.promotion.shadow import findings

ROWS = 2_000


def live(shift=0.0, *, rows=ROWS, seed=1):
    """Return a champion's messages and a shadow's chances of them, off by so much of the log-odds."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.02, 0.4, rows)
    label = (rng.random(rows) < p).astype(np.float64)
    units = np.array([f"r{number % (rows // 2)}" for number in range(rows)])
    moved = 1 / (1 + np.exp(-(np.log(p / (1 - p)) + shift)))
    return Scored.of(label, moved, units), Scored.of(label, p, units)


def held(found):
    return {each.condition: each.held for each in found}


def test_a_shadow_that_says_the_same_is_no_worse():
    assert held(findings(*live())) == {
        "shadow.decisions": True, "shadow.log_loss": True, "shadow.observed_expected": True,
    }  # fmt: skip


def test_a_worse_one_is_refused_with_both_losses():
    found = findings(*live(1.2))
    assert held(found) == {"shadow.decisions": True, "shadow.log_loss": False, "shadow.observed_expected": False}
    loss = next(each for each in found if each.condition == "shadow.log_loss")
    assert loss.number > 0
    assert "the champion's" in loss.sentence


@pytest.mark.parametrize(("least", "is_held"), [(0, True), (500, False)])
def test_too_few_messages_tell_nothing_and_refuse_only_where_a_trial_is_asked_for(least, is_held):
    [each] = findings(*live(1.2, rows=150), least=least)
    assert (each.held, "not enough live data" in each.sentence) == (is_held, True)


def test_a_trial_lasts_until_there_are_as_many_messages_as_asked_for():
    assert not held(findings(*live(), least=ROWS + 1))["shadow.decisions"]
    assert held(findings(*live(), least=ROWS))["shadow.decisions"]


def test_without_another_champion_nobody_can_tell():
    [each] = shadow.nobody_to_compare("there is no champion")
    assert (each.held, each.number) == (True, None)
