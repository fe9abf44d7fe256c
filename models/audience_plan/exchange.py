"""From a plan to a better one: an item changes for a better option wherever the limits have room for the change.

Prices alone cannot part recipients who are all worth the same: at the right price everybody is indifferent, beside it
everybody wants one thing. Changes one by one use up what that leaves over.
"""

import numpy as np

from models.audience_plan.problem import AudienceProblem, Floats, Integers

MAX_PASSES = 10
_SLACK = 1e-9
_LEAST_GAIN = 1e-12
"""In the unit of value; less is rounding."""


def exchanged(problem: AudienceProblem, rows: Integers, columns: Integers) -> Integers:
    """Return the options of a plan's items after every change for the better that keeps the limits.

    Args:
        problem: the audience.
        rows: (items,) recipients.
        columns: (items,) their options; within the limits.
    """
    columns = columns.copy()
    left = problem.limits - problem.usage[columns].sum(axis=0)
    has = np.zeros(problem.values.shape, dtype=np.bool_)
    has[rows, columns] = True
    for _ in range(MAX_PASSES):
        changes = [
            _change(problem, rows, columns, has, left, before=before, after=after)
            for before in range(problem.options)
            for after in range(problem.options)
            if before != after
        ]
        if not any(changes):
            break
    return columns


def _change(
    problem: AudienceProblem,
    rows: Integers,
    columns: Integers,
    has: np.typing.NDArray[np.bool_],
    left: Floats,
    *,
    before: int,
    after: int,
) -> int:
    """Change items from one option to another, those that gain most first, in place; return how many."""
    need = problem.usage[after] - problem.usage[before]
    room = _room(need, left, problem.limits)
    if room < 1:
        return 0
    at = np.flatnonzero(columns == before)
    gain = problem.values[rows[at], after] - problem.values[rows[at], before]
    gain[has[rows[at], after]] = -np.inf
    better = np.flatnonzero(gain > _LEAST_GAIN)
    if room < len(better):
        better = better[np.argsort(-gain[better], kind="stable")[: int(room)]]
    chosen = at[better]
    has[rows[chosen], before], has[rows[chosen], after] = False, True
    columns[chosen] = after
    left -= len(chosen) * need
    return len(chosen)


def _room(need: Floats, left: Floats, limits: Floats) -> float:
    """Return for how many changes the limits have room."""
    asks = (need > 0) & np.isfinite(limits)
    if not asks.any():
        return float(np.inf)
    there = left[asks] + _SLACK * limits[asks]
    with np.errstate(over="ignore"):  # infinite is room for everybody
        return float(np.floor(np.min(there / need[asks]) + _SLACK))
