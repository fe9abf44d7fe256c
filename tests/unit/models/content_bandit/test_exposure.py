"""Exposures fade by half in fifteen days, in whatever order they become known."""

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations

import numpy as np
import pytest

from models.content_bandit import exposure

START = datetime(2026, 3, 1, 9, tzinfo=UTC)


def remembered(*days):
    memory = {}
    for day in days:
        memory = exposure.seen(memory, "v", START + timedelta(days=day))
    return memory


def test_an_exposure_counts_half_after_fifteen_days_and_repetition_adds_up():
    now = START + timedelta(days=15)
    counts = exposure.table([remembered(0), remembered(0, 15), {}], ["v", "w"], now)
    assert counts == pytest.approx(np.array([[0.5, 0], [1.5, 0], [0, 0]]))


@pytest.mark.parametrize("order", list(permutations((0, 3, 11))))
def test_the_order_in_which_exposures_become_known_does_not_matter(order):
    now = START + timedelta(days=20)
    expected = sum(2 ** (-(20 - day) / 15) for day in (0, 3, 11))
    assert exposure.table([remembered(*order)], ["v"], now)[0, 0] == pytest.approx(expected, abs=1e-12)


def test_a_memory_is_read_back_as_it_was():
    memory = exposure.seen(remembered(0, 3), "w", START)
    assert exposure.from_json(json.loads(json.dumps(exposure.as_json(memory)))) == memory


def test_nobody_seen_makes_an_empty_table():
    assert exposure.table([], ["v", "w"], START).shape == (0, 2)
