"""What the regression sees of a recipient and an arm, and what is believed before anything was seen.

    phi(x, a) = [1, x, onehot(a), onehot(a) (x) x, x (x) e_a, h_ua / 5]

x are p features of the recipient, e_a the f features of the item (its tags, a reduced sentence embedding), h_ua how
often this recipient saw this arm, decayed. An arm nobody saw yet is judged by its item.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from scipy.special import logit

from models.arm_draws import BadArms, Floats, Integers

EXPOSURES_PER_UNIT = 5.0
"""Five decayed exposures are one unit, so that the exposure's prior has the size of the others."""


@dataclass(frozen=True)
class PriorSpread:
    """Standard deviations of the coefficients before any outcome, in log-odds for a feature of size 1."""

    intercept: float = 1.0
    context: float = 0.5
    arm: float = 0.15
    arm_context: float = 0.2
    context_item: float = 0.5
    exposure: float = 0.2

    def scaled(self, scale: float) -> "PriorSpread":
        """Return the spread with everything but the intercept multiplied by a scale > 0."""
        grown = {field.name: getattr(self, field.name) * scale for field in fields(self) if field.name != "intercept"}
        return PriorSpread(intercept=self.intercept, **grown)

    def as_json(self) -> dict[str, float]:
        """Return its numbers by name."""
        return asdict(self)


POOLED = PriorSpread(arm_context=0.05, context_item=1.0)
"""Where items describe the arms. What a recipient likes then shows in the items of all arms, so that one arm's outcomes
tell of the others, and little is left for each arm to learn alone."""


@dataclass(frozen=True)
class Layout:
    """Names of the features and of the arms, and the arms' items.

    Attributes:
        context: p names of a recipient's features.
        arms: K ids of variants, all different.
        items: an item of f features for each arm; f may be 0.
    """

    context: tuple[str, ...]
    arms: tuple[str, ...]
    items: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        if not self.arms or len(set(self.arms)) != len(self.arms):
            raise BadArms("arms: expected at least one, all different")
        if len(self.items) != len(self.arms) or len({len(item) for item in self.items}) != 1:
            raise BadArms("items: expected one for each arm, all of one length")
        if not np.isfinite(self.table).all():
            raise BadArms("items: expected finite numbers")

    @property
    def table(self) -> Floats:
        """Return the items, shape (K, f)."""
        return np.array(self.items, dtype=np.float64).reshape(len(self.arms), -1)

    @property
    def spread(self) -> PriorSpread:
        """Return the prior's spread where none is given: pooled over arms that have items."""
        return POOLED if self.items[0] else PriorSpread()

    @property
    def sizes(self) -> dict[str, int]:
        """Return how many coefficients each part has, in their order."""
        p, arms, f = len(self.context), len(self.arms), len(self.items[0])
        return {
            "intercept": 1,
            "context": p,
            "arm": arms,
            "arm_context": arms * p,
            "context_item": p * f,
            "exposure": 1,
        }

    @property
    def size(self) -> int:
        """Return d, the number of coefficients."""
        return sum(self.sizes.values())

    def prior(self, base_rate: float, spread: PriorSpread) -> tuple[Floats, Floats]:
        """Return mean and precision of each coefficient before any outcome, both of shape (d,).

        Args:
            base_rate: share of messages that succeed, in (0, 1).
            spread: how far coefficients may be from 0.
        """
        mean = np.zeros(self.size)
        mean[0] = logit(base_rate)
        widths = np.repeat([getattr(spread, part) for part in self.sizes], list(self.sizes.values()))
        return mean, widths**-2.0

    def rows(self, context: Floats, exposure: Floats, arm: Integers) -> Floats:
        """Return phi of the arm that was taken in each row.

        Args:
            context: shape (n, p).
            exposure: decayed exposures to that arm, shape (n,).
            arm: index of the arm, shape (n,).

        Returns:
            Shape (n, d).
        """
        hot = np.eye(len(self.arms))[arm]
        by_arm = (hot[:, :, None] * context[:, None, :]).reshape(len(context), -1)
        by_item = (context[:, :, None] * self.table[arm][:, None, :]).reshape(len(context), -1)
        seen = exposure[:, None] / EXPOSURES_PER_UNIT
        return np.hstack([np.ones((len(context), 1)), context, hot, by_arm, by_item, seen])

    def all_rows(self, context: Floats, exposure: Floats) -> Floats:
        """Return phi of every arm in each row, shape (n, K, d), for context (n, p) and exposure (n, K)."""
        n, arms = exposure.shape
        every = np.tile(np.arange(arms), n)
        return self.rows(np.repeat(context, arms, axis=0), exposure.reshape(-1), every).reshape(n, arms, self.size)

    def scores(self, weights: Floats, context: Floats, exposure: Floats) -> Floats:
        """Return phi . weights of every arm, shape (n, K), without building phi.

        The sums run along a row of one decision only, so that a decision scores the same bytes alone and in a batch.
        """
        part = self.parts(weights)
        arms, p = len(self.arms), len(self.context)
        by_arm = part["arm_context"].reshape(arms, p)
        by_item = part["context_item"].reshape(p, -1)
        slope = by_arm + (self.table[:, None, :] * by_item[None, :, :]).sum(axis=2) + part["context"]
        shared = (context[:, None, :] * slope[None, :, :]).sum(axis=2)
        scored: Floats = weights[0] + part["arm"] + shared + exposure / EXPOSURES_PER_UNIT * part["exposure"]
        return scored

    def parts(self, weights: Floats) -> dict[str, Floats]:
        """Return the coefficients of each part."""
        ends = np.cumsum(list(self.sizes.values()))[:-1]
        return dict(zip(self.sizes, np.split(weights, ends), strict=True))

    def check(self, context: Floats, exposure: Floats) -> None:
        """Check the tables of n decisions.

        Raises:
            BadArms: a shape is wrong, or a number is not finite or below 0 where it counts exposures.
        """
        n = len(context)
        if context.shape != (n, len(self.context)):
            raise BadArms(f"context: expected {len(self.context)} features a row, not shape {context.shape}")
        if exposure.shape != (n, len(self.arms)):
            raise BadArms(f"exposure: expected {len(self.arms)} arms a row, not shape {exposure.shape}")
        if not np.isfinite(context).all():
            raise BadArms("context: expected finite numbers")
        if not np.isfinite(exposure).all() or (exposure < 0).any():
            raise BadArms("exposure: expected finite numbers, at least 0")

    def as_json(self) -> dict[str, Any]:
        """Return names and items."""
        return {"context": list(self.context), "arms": list(self.arms), "items": [list(item) for item in self.items]}

    @classmethod
    def from_json(cls, made: Mapping[str, Any]) -> "Layout":
        """Read what :meth:`as_json` wrote."""
        items = tuple(tuple(map(float, item)) for item in made["items"])
        return cls(tuple(map(str, made["context"])), tuple(map(str, made["arms"])), items)
