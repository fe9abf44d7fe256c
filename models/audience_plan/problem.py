"""The plan of an audience as a linear programme: what it is worth, what it uses, and what there is.

    maximise    sum_uo value[u, o] x[u, o]
    subject to  sum_o x[u, o] <= per_recipient[u]            for each recipient u
                sum_uo usage[o, j] x[u, o] <= limit[j]        for each shared resource j
                0 <= x[u, o] <= 1

An option is a channel, a time slot and a variant together, or a number of messages a week; a resource is a channel's
capacity, the volume of a slot, a budget in money, the whole campaign.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class BadProblem(ValueError):
    """The tables do not fit together, or hold what no plan can be made of; says which and where."""


@dataclass(frozen=True)
class AudienceProblem:
    """What a plan is made of.

    Attributes:
        values: (n, m) what option o is worth at recipient u; ``-inf`` where it is not permitted.
        usage: (m, j) units of each resource that one use of an option takes, at least 0.
        limits: (j,) units there are of each resource, at least 0; infinity for no limit.
        per_recipient: (n,) how many options one recipient may get, at least 0.
    """

    values: Floats
    usage: Floats
    limits: Floats
    per_recipient: Integers

    @classmethod
    def of(
        cls,
        values: npt.ArrayLike,
        usage: npt.ArrayLike,
        limits: npt.ArrayLike,
        *,
        per_recipient: npt.ArrayLike | int = 1,
    ) -> "AudienceProblem":
        """Check and keep the tables.

        Args:
            values: (n, m), finite or ``-inf``.
            usage: (m, j), finite, at least 0.
            limits: (j,), at least 0, perhaps infinite.
            per_recipient: (n,) or one number for all, whole, at least 0.

        Raises:
            BadProblem: a shape or a number is impossible.
        """
        worth = np.ascontiguousarray(values, dtype=np.float64)
        uses = np.ascontiguousarray(usage, dtype=np.float64)
        there = np.ascontiguousarray(limits, dtype=np.float64)
        _check(worth, uses, there)
        each = np.broadcast_to(np.asarray(per_recipient), worth.shape[:1])
        if not np.issubdtype(each.dtype, np.integer) or (each.size and int(each.min()) < 0):
            raise BadProblem("per_recipient: expected whole numbers, at least 0, one for each row of values")
        return cls(worth, uses, there, np.ascontiguousarray(each, dtype=np.int64))

    @property
    def recipients(self) -> int:
        """Return n."""
        return int(self.values.shape[0])

    @property
    def options(self) -> int:
        """Return m."""
        return int(self.values.shape[1])

    def some(self, rows: Integers) -> "AudienceProblem":
        """Return the problem of some of the recipients with their share of every limit."""
        share = len(rows) / max(1, self.recipients)
        return AudienceProblem(self.values[rows], self.usage, self.limits * share, self.per_recipient[rows])


def _check(values: Floats, usage: Floats, limits: Floats) -> None:
    table, vector = 2, 1
    if values.ndim != table or values.shape[1] == 0:
        raise BadProblem("values: expected a table with a row per recipient and a column per option")
    if usage.ndim != table or usage.shape[0] != values.shape[1]:
        raise BadProblem(f"usage: expected a row for each of the {values.shape[1]} options")
    if limits.ndim != vector or limits.shape[0] != usage.shape[1]:
        raise BadProblem(f"limits: expected one for each of the {usage.shape[1]} resources")
    if np.isnan(values).any() or np.isposinf(values).any():
        raise BadProblem("values: expected finite numbers, or -inf where an option is not permitted")
    if not np.isfinite(usage).all() or (usage < 0).any():
        raise BadProblem("usage: expected finite numbers, at least 0")
    if np.isnan(limits).any() or (limits < 0).any():
        raise BadProblem("limits: expected numbers, at least 0")
