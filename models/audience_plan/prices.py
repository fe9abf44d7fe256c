"""Prices of the shared limits: the dual of the plan, found by smoothing it ever less.

    D(price) = sum_u best_u(value[u] - usage @ price) + limits @ price      for price >= 0

``best_u`` adds the largest positive margins a recipient may have. D is never below the value of any plan, whatever the
price (weak duality), so it bounds how far a plan is from the optimum; its smallest value is the optimum of the relaxed
plan. It has one coordinate per resource, however many recipients there are. Kinks are smoothed by an entropy term of
weight ``temperature``, which is lowered step by step: first on a sample, at last on everybody.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from models.audience_plan.problem import AudienceProblem, Floats, Integers

SAMPLE = 20_000
"""Recipients the first prices are found on; a sample this large misses a limit by well under a percent."""
TEMPERATURES = (0.3, 0.1, 0.03, 0.01)
"""Smoothing on the sample, in units of the usual value of an option."""
LAST_TEMPERATURE = 0.01
SAMPLE_STEPS = 60
LAST_STEPS = 12
_OWN_PRICE_ROUNDS = 60
_OWN_PRICE_TOLERANCE = 1e-9
"""Newton's steps within a shrinking bracket; they end when nobody's shares miss their number by more."""


Smoothed = Callable[[Floats, float], tuple[float, Floats]]


@dataclass(frozen=True)
class Prices:
    """The prices found, and the bound they prove.

    Attributes:
        price: (j,) value one more unit of a resource would bring; 0 where the limit does not bind.
        bound: no plan within the limits is worth more than this.
    """

    price: Floats
    bound: float


def find_prices(problem: AudienceProblem, *, seed: int = 0) -> Prices:
    """Find prices at which the audience's own choices just fit the limits.

    Args:
        problem: the audience.
        seed: which recipients are looked at first.
    """
    bounded = np.isfinite(problem.limits)
    price = np.zeros(len(problem.limits))
    scale = _usual_value(problem)
    if not bounded.any() or scale == 0.0:
        return Prices(price, upper_bound(problem, price))
    order = np.random.default_rng(seed).permutation(problem.recipients)
    sample = _first(problem, order, SAMPLE)
    for temperature in TEMPERATURES:
        price = _descend(sample, price, temperature * scale, bounded, SAMPLE_STEPS)
    if sample is not problem:
        price = _descend(problem, price, LAST_TEMPERATURE * scale, bounded, LAST_STEPS)
    return Prices(price, upper_bound(problem, price))


def _first(problem: AudienceProblem, order: Integers, count: int) -> AudienceProblem:
    return problem if problem.recipients <= count else problem.some(np.sort(order[:count]))


def _is_one_each(problem: AudienceProblem) -> bool:
    return int(problem.per_recipient.max(initial=0)) <= 1


def upper_bound(problem: AudienceProblem, price: Floats) -> float:
    """Return D(price): a value no plan can exceed, exact and not smoothed."""
    gained = np.maximum(margins(problem, price), 0.0)
    most = int(problem.per_recipient.max(initial=0))
    if most <= 1:
        best = gained.max(axis=1, initial=0.0) * (problem.per_recipient > 0)
    else:
        ranked = -np.sort(-gained, axis=1)
        within = np.arange(problem.options)[None, :] < problem.per_recipient[:, None]
        best = np.where(within, ranked, 0.0).sum(axis=1)
    return float(best.sum()) + _paid(problem, price)


def margins(problem: AudienceProblem, price: Floats) -> Floats:
    """Return (n, m) what each option leaves after its prices; ``-inf`` where it is not permitted."""
    return problem.values - problem.usage @ price


def _paid(problem: AudienceProblem, price: Floats) -> float:
    bounded = np.isfinite(problem.limits)
    return float(problem.limits[bounded] @ price[bounded])


def _usual_value(problem: AudienceProblem) -> float:
    worth = problem.values[problem.values > 0]
    return float(np.median(worth)) if worth.size else 0.0


def _descend(
    problem: AudienceProblem, start: Floats, temperature: float, bounded: np.typing.NDArray[np.bool_], steps: int
) -> Floats:
    """Lower the smoothed dual from a start; an unlimited resource keeps the price 0."""
    smoothed = _choosing_one if _is_one_each(problem) else _choosing_some
    size = max(1, problem.recipients)
    units = _units(problem)

    def objective(found: Floats) -> tuple[float, Floats]:
        total, used = smoothed(problem, found * units, temperature)
        value = total + _paid(problem, found * units)
        slope = np.where(bounded, np.where(bounded, problem.limits, 0.0) - used, 0.0)
        return value / size, slope * units / size

    bounds = [(0.0, None if at else 0.0) for at in bounded]
    tight = {"maxiter": steps, "ftol": 1e-13, "gtol": 1e-10}
    found = minimize(objective, start / units, jac=True, method="L-BFGS-B", bounds=bounds, options=tight)
    return np.asarray(found.x * units, dtype=np.float64)


def _units(problem: AudienceProblem) -> Floats:
    """Return (j,) what a price is measured in, so that all are of one size: value of a use over units it takes."""
    takes = problem.usage.sum(axis=0) / np.maximum(1, (problem.usage > 0).sum(axis=0))
    return np.asarray(_usual_value(problem) / np.where(takes > 0, takes, 1.0), dtype=np.float64)


def _choosing_one(problem: AudienceProblem, price: Floats, temperature: float) -> tuple[float, Floats]:
    """Return smoothed value and usage where a recipient gets at most one option: a softmax with "none" in it."""
    weights = margins(problem, price)
    top = np.maximum(weights.max(axis=1, keepdims=True), 0.0)
    np.subtract(weights, top, out=weights)
    np.divide(weights, temperature, out=weights)
    np.exp(weights, out=weights)
    total = weights.sum(axis=1) + np.exp(-top[:, 0] / temperature)
    counts = (problem.per_recipient > 0).astype(np.float64)
    value = float((counts * (top[:, 0] + temperature * np.log(total))).sum())
    used = (counts / total) @ weights
    return value, used @ problem.usage


def _choosing_some(problem: AudienceProblem, price: Floats, temperature: float) -> tuple[float, Floats]:
    """Return smoothed value and usage where a recipient gets up to k options: logistic shares under an own price."""
    gains = margins(problem, price)
    most = problem.per_recipient[:, None].astype(np.float64)
    own = np.zeros_like(most)
    crowded = _logistic(gains / temperature).sum(axis=1) > most[:, 0]
    own[crowded] = _own_price(gains[crowded], most[crowded], temperature)
    share = _logistic((gains - own) / temperature)
    smooth = temperature * np.logaddexp(0.0, (gains - own) / temperature)
    return float(smooth.sum() + (own * most).sum()), share.sum(axis=0) @ problem.usage


def _own_price(gains: Floats, most: Floats, temperature: float) -> Floats:
    """Return (n, 1) the price at which a recipient's shares add up to what it may have; they exceed that without."""
    high = np.maximum(gains.max(axis=1, keepdims=True), 0.0) + 40.0 * temperature
    low = np.zeros_like(high)
    price: Floats = np.asarray((low + high) / 2, dtype=np.float64)
    for _ in range(_OWN_PRICE_ROUNDS):
        share = _logistic((gains - price) / temperature)
        excess = share.sum(axis=1, keepdims=True) - most
        low, high = np.where(excess > 0, price, low), np.where(excess > 0, high, price)
        steep = (share * (1.0 - share)).sum(axis=1, keepdims=True) / temperature
        newton = price + excess / np.maximum(steep, 1e-300)
        price = np.where((newton > low) & (newton < high), newton, (low + high) / 2)
        if float(np.abs(excess).max(initial=0.0)) < _OWN_PRICE_TOLERANCE:
            break
    return price


def _logistic(x: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), dtype=np.float64)
