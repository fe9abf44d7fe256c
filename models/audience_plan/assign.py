"""From prices to a plan that keeps every limit: recipients choose at the prices, in the order of what they gain.

Each round everybody who may still get something proposes the best option that is still to be had. Proposals are
accepted in the order of their margin as far as every limit reaches; who was refused proposes something else in the
next round. At good prices nearly everybody is served in the first round. What the limits then still leave room for is
changed item by item.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.audience_plan.exchange import exchanged
from models.audience_plan.prices import Prices, find_prices, margins
from models.audience_plan.problem import AudienceProblem, Floats, Integers

MAX_ROUNDS = 200
_SLACK = 1e-9
"""Share of a limit that rounding of sums may exceed it by."""


@dataclass(frozen=True)
class Plan:
    """A plan within all limits, and how far from the best it can be at most.

    Attributes:
        recipient: (items,) row of the recipient, ascending.
        option: (items,) column of the option.
        value: what the items are worth together.
        used: (j,) units of each resource they take.
        prices: what one more unit of each would bring, and the bound.
    """

    recipient: Integers
    option: Integers
    value: float
    used: Floats
    prices: Prices

    @property
    def gap(self) -> float:
        """Return the share of the relaxed optimum that may be missing, in [0, 1]; 0 when nothing is worth sending."""
        bound = self.prices.bound
        return max(0.0, 1.0 - self.value / bound) if bound > 0 else 0.0


def make_plan(problem: AudienceProblem, *, seed: int = 0) -> Plan:
    """Find prices, then the plan.

    Args:
        problem: the audience.
        seed: which recipients the first prices are found on.
    """
    return assign(problem, find_prices(problem, seed=seed))


def assign(problem: AudienceProblem, prices: Prices) -> Plan:
    """Return the plan that recipients choose at given prices, cut and filled until it fits the limits."""
    gain = np.where(problem.values > 0, margins(problem, prices.price), -np.inf)
    state = _State(problem, gain, problem.limits.copy(), problem.per_recipient.copy(), [])
    # What gains at the prices goes first; only then is what they left over given to whoever loses least by it.
    state.serve(at_least=0.0)
    state.serve(at_least=-np.inf)
    return _plan(problem, state.items, prices)


@dataclass
class _State:
    """What is still to be had while a plan is made."""

    problem: AudienceProblem
    gain: Floats
    left: Floats
    may_still: Integers
    items: list[tuple[Integers, Integers]]

    def serve(self, *, at_least: float) -> None:
        """Accept proposals of at least a margin, round by round, until nobody has one."""
        waiting = np.flatnonzero(self.may_still > 0)
        for _ in range(MAX_ROUNDS):
            self.gain[:, ~_to_be_had(self.problem, self.left)] = -np.inf
            rows, columns, margin = _proposals(self.gain, waiting, self.may_still, at_least)
            if not len(rows):
                return
            taken = _accepted(self.problem.usage[columns], margin, self.left)
            waiting = np.unique(rows)
            rows, columns = rows[taken], columns[taken]
            self.left -= self.problem.usage[columns].sum(axis=0)
            self.items.append((rows, columns))
            np.subtract.at(self.may_still, rows, 1)
            self.gain[rows, columns] = -np.inf
            waiting = waiting[self.may_still[waiting] > 0]


def _to_be_had(problem: AudienceProblem, left: Floats) -> npt.NDArray[np.bool_]:
    """Return (m,) which options one more recipient could get."""
    return np.asarray((problem.usage <= _reach(problem.limits, left)).all(axis=1))


def _reach(limits: Floats, left: Floats) -> Floats:
    return left + _SLACK * np.where(np.isfinite(limits), limits, 0.0)


def _proposals(
    gain: Floats, waiting: Integers, may_still: Integers, at_least: float
) -> tuple[Integers, Integers, Floats]:
    """Return who proposes which options, as many as each may still get, and the margins."""
    among = gain[waiting]
    if int(may_still[waiting].max(initial=0)) <= 1:
        best = among.argmax(axis=1)[:, None]
    else:
        best = np.argsort(-among, axis=1, kind="stable")
    margin = np.take_along_axis(among, best, axis=1)
    proposed = np.isfinite(margin) & (margin >= at_least)
    proposed &= np.arange(best.shape[1])[None, :] < may_still[waiting][:, None]
    at, rank = np.nonzero(proposed)
    return waiting[at], best[at, rank].astype(np.int64), margin[at, rank]


def _accepted(usage: Floats, margin: Floats, left: Floats) -> npt.NDArray[np.bool_]:
    """Return which proposals fit, going through them from the largest margin down.

    A proposal counts against the limits even when another resource refuses it, so too few are taken rather than too
    many; the next round takes what was left over.
    """
    order = np.argsort(-margin, kind="stable")
    fits = np.ones(len(margin), dtype=np.bool_)
    for resource in np.flatnonzero(np.isfinite(left)):
        needs = usage[order, resource]
        reach = left[resource] * (1.0 + _SLACK) + _SLACK
        fits &= (np.cumsum(needs) <= reach) | (needs == 0)
    taken = np.zeros(len(margin), dtype=np.bool_)
    taken[order] = fits
    if not taken.any():
        taken[order[0]] = True  # it fits alone, or it would not be to be had
    return taken


def _plan(problem: AudienceProblem, items: list[tuple[Integers, Integers]], prices: Prices) -> Plan:
    rows = np.concatenate([rows for rows, _ in items]) if items else np.empty(0, dtype=np.int64)
    columns = np.concatenate([columns for _, columns in items]) if items else np.empty(0, dtype=np.int64)
    columns = exchanged(problem, rows, columns)
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    value = float(problem.values[rows, columns].sum())
    return Plan(rows, columns, value, problem.usage[columns].sum(axis=0), prices)
