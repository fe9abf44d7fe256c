"""Exchanges: recipients who are all alike are parted as the limits allow, and no change breaks one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.audience_plan.assign import make_plan
from models.audience_plan.exchange import exchanged
from models.audience_plan.problem import AudienceProblem


def test_recipients_who_are_all_alike_get_the_better_option_as_far_as_it_goes():
    values = np.tile([[1.0, 2.0]], (12, 1))
    usage = [[1, 1, 0], [1, 0, 1]]
    plan = make_plan(AudienceProblem.of(values, usage, [7, np.inf, 3]))
    assert plan.value == pytest.approx(3 * 2.0 + 4 * 1.0)
    assert plan.used.tolist() == [7, 4, 3]
    assert plan.gap < 0.01


def test_nobody_gets_the_same_option_twice():
    problem = AudienceProblem.of([[1.0, 2.0]], [[1], [1]], [2], per_recipient=2)
    options = exchanged(problem, np.array([0, 0]), np.array([0, 1]))
    assert sorted(options.tolist()) == [0, 1]


def test_a_use_too_small_to_divide_by_leaves_room_for_everybody():
    problem = AudienceProblem.of([[1.0, 2.0]] * 3, [[0.0], [5e-324]], [1e12])
    options = exchanged(problem, np.arange(3), np.zeros(3, dtype=np.int64))
    assert options.tolist() == [1, 1, 1]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31 - 1), st.integers(1, 40), st.integers(1, 5))
def test_a_change_never_lowers_the_value_nor_breaks_a_limit(seed, recipients, options):
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 4, (recipients, options)).astype(float)
    values[rng.random(values.shape) < 0.2] = -np.inf
    usage = rng.integers(0, 3, (options, 3)).astype(float)
    limits = np.array([recipients * 0.6, recipients * 0.4, np.inf])
    problem = AudienceProblem.of(values, usage, limits)
    plan = make_plan(problem)
    assert (plan.used <= problem.limits * (1 + 1e-6) + 1e-6).all()
    before = np.where(np.isfinite(values), values, np.inf).argmin(axis=1)
    rows = np.flatnonzero(np.isfinite(values).any(axis=1))[:2]
    start = before[rows]
    if (problem.usage[start].sum(axis=0) <= problem.limits).all():
        after = exchanged(problem, rows, start)
        assert problem.values[rows, after].sum() >= problem.values[rows, start].sum()
        assert (problem.usage[after].sum(axis=0) <= problem.limits * (1 + 1e-6) + 1e-6).all()
