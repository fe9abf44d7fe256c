"""A plan keeps every limit, comes within a thousandth of the optimum, and knows how far it may be from it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import coo_matrix, vstack

from models.audience_plan.assign import make_plan
from models.audience_plan.prices import find_prices, upper_bound
from models.audience_plan.problem import AudienceProblem, BadProblem
from tests.thorough import examples


def an_audience(*, recipients=2000, options=8, resources=4, per_recipient=1, tightness=0.2, seed=0) -> AudienceProblem:
    rng = np.random.default_rng(seed)
    values = rng.lognormal(-3, 1, (recipients, 1)) * rng.lognormal(0, 0.5, (recipients, options))
    values[rng.random(values.shape) < 0.3] = -np.inf
    usage = np.zeros((options, resources))
    usage[np.arange(options), rng.integers(0, resources - 1, options)] = 1.0
    usage[:, -1] = rng.uniform(0.001, 0.01, options)
    limits = np.append(np.full(resources - 1, tightness * recipients), 0.004 * tightness * recipients)
    return AudienceProblem.of(values, usage, limits, per_recipient=per_recipient)


def optimum(problem: AudienceProblem) -> float:
    """The relaxed optimum by HiGHS."""
    n = problem.recipients
    # .values.shape
    rows, columns = np.nonzero(np.isfinite(problem.values))
    at = np.arange(len(rows))
    own = coo_matrix((np.ones(len(rows)), (rows, at)), shape=(n, len(rows)))
    shared = coo_matrix(problem.usage[columns].T)
    bounds = np.concatenate([problem.per_recipient, problem.limits])
    found = linprog(
        -problem.values[rows, columns], A_ub=vstack([own, shared]).tocsr(), b_ub=bounds, bounds=(0, 1), method="highs"
    )
    assert found.status == 0, found.message
    return -found.fun


@pytest.mark.parametrize("per_recipient", [1, 2, 3])
@pytest.mark.parametrize("tightness", [0.05, 0.2, 5.0])
def test_a_plan_is_within_a_thousandth_of_what_highs_finds(per_recipient: int, tightness: float) -> None:
    problem = an_audience(recipients=8000, per_recipient=per_recipient, tightness=tightness)
    best = optimum(problem)
    plan = make_plan(problem)
    assert 0.999 * best <= plan.value <= best * (1 + 1e-9)
    assert best <= plan.prices.bound * (1 + 1e-9)
    assert plan.gap <= 0.003


@settings(max_examples=examples(400, 40), deadline=None)
@given(
    recipients=st.integers(0, 40),
    options=st.integers(1, 6),
    resources=st.integers(2, 4),
    tightness=st.sampled_from([0.0, 0.01, 0.1, 1.0]),
    most=st.integers(0, 3),
    seed=st.integers(0, 10_000),
)
def test_no_plan_exceeds_a_limit_uses_what_is_not_permitted_or_beats_its_bound(
    recipients: int, options: int, resources: int, tightness: float, most: int, seed: int
) -> None:
    problem = an_audience(
        recipients=recipients, options=options, resources=resources, per_recipient=most, tightness=tightness, seed=seed
    )
    plan = make_plan(problem)
    assert (plan.used <= problem.limits * (1 + 1e-6) + 1e-6).all()
    assert (np.bincount(plan.recipient, minlength=recipients) <= most).all()
    assert len(set(zip(plan.recipient.tolist(), plan.option.tolist(), strict=True))) == len(plan.recipient)
    assert (problem.values[plan.recipient, plan.option] > 0).all()
    assert plan.value <= plan.prices.bound * (1 + 1e-9) + 1e-9


def test_nothing_that_could_still_be_had_is_left_out() -> None:
    problem = an_audience(recipients=500, tightness=0.05)
    plan = make_plan(problem)
    left = problem.limits - plan.used
    served = set(plan.recipient.tolist())
    for row in set(range(500)) - served:
        for option in np.flatnonzero(problem.values[row] > 0):
            assert (problem.usage[option] > left + 1e-9).any(), (row, option)


def test_a_limit_that_does_not_bind_has_no_price_and_a_binding_one_has() -> None:
    values = np.array([[3.0], [2.0], [1.0]])
    loose = find_prices(AudienceProblem.of(values, [[1.0]], [10.0]))
    tight = find_prices(AudienceProblem.of(np.repeat(values, 500, axis=0), [[1.0]], [750.0]))
    assert loose.price[0] == pytest.approx(0.0, abs=1e-6)
    assert 1.9 <= tight.price[0] <= 2.1


def test_the_price_says_what_one_more_unit_would_bring() -> None:
    problem = an_audience(recipients=4000, tightness=0.1)
    more = AudienceProblem.of(problem.values, problem.usage, problem.limits + np.array([40.0, 0.0, 0.0, 0.0]))
    price = find_prices(problem).price[0]
    assert (optimum(more) - optimum(problem)) / 40.0 == pytest.approx(price, rel=0.1)


@given(st.lists(st.floats(0, 5), min_size=4, max_size=4))
@settings(max_examples=examples(100, 15), deadline=None)
def test_every_price_gives_a_bound_no_plan_beats(price: list[float]) -> None:
    problem = an_audience(recipients=200, tightness=0.1)
    assert upper_bound(problem, np.array(price)) >= optimum(problem) * (1 - 1e-9)


def test_the_same_seed_gives_the_same_plan_and_a_sample_is_enough_to_start_from() -> None:
    problem = an_audience(recipients=30_000, tightness=0.05)
    first, again, other = make_plan(problem, seed=1), make_plan(problem, seed=1), make_plan(problem, seed=2)
    assert (first.option == again.option).all()
    assert other.value == pytest.approx(first.value, rel=1e-3)
    assert first.gap <= 0.001


@pytest.mark.parametrize(
    ("values", "usage", "limits", "per_recipient", "named"),
    [
        ([1.0, 2.0], [[1.0]], [1.0], 1, "values"),
        ([[float("nan")]], [[1.0]], [1.0], 1, "values"),
        ([[float("inf")]], [[1.0]], [1.0], 1, "values"),
        ([[1.0, 2.0]], [[1.0]], [1.0], 1, "usage"),
        ([[1.0]], [[-1.0]], [1.0], 1, "usage"),
        ([[1.0]], [[1.0]], [1.0, 2.0], 1, "limits"),
        ([[1.0]], [[1.0]], [-1.0], 1, "limits"),
        ([[1.0]], [[1.0]], [1.0], -1, "per_recipient"),
        ([[1.0]], [[1.0]], [1.0], 0.5, "per_recipient"),
    ],
)
def test_what_no_plan_can_be_made_of_is_refused_by_name(
    values: object, usage: object, limits: object, per_recipient: object, named: str
) -> None:
    with pytest.raises(BadProblem, match=f"^{named}: "):
        AudienceProblem.of(values, usage, limits, per_recipient=per_recipient)
