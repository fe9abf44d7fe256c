"""Recovering difference softmax: an arm's score, less a penalty that fades after a recipient saw it, through a softmax.

    s*_a = s_a - gamma h_ua        q(a) = softmax(s* / tau) over eligible arms, then the floor

h is 2^{-d/15} with d the days since the recipient last saw a (the published form), or the decayed count of all
exposures, where repetition adds up; both are the same after one exposure.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from models.arm_draws import BadArms, Booleans, Floats, check
from models.off_policy.policy import softmax
from models.recovering_softmax.sums import COLUMNS, SHRINKAGE, ArmSums

SCHEMA = "kairos.recovering_softmax/1"

HALF_LIFE_DAYS = 15.0


class BadState(ValueError):
    """A document is no state of this version; says what is wrong."""


@dataclass(frozen=True)
class Settings:
    """The published numbers, and a floor, which the publication has not.

    Attributes:
        penalty: gamma, in units of the relative gain, for an arm seen this moment.
        temperature: tau, in the same units, > 0.
        shrinkage: sigma, rounds, > 0.
        floor: share spread evenly over the eligible arms, in [0, 1).
    """

    penalty: float = 0.017
    temperature: float = 0.0025
    shrinkage: float = SHRINKAGE
    floor: float = 0.02

    def __post_init__(self) -> None:
        """Refuse impossible numbers."""
        if not (self.penalty >= 0 and self.temperature > 0 and self.shrinkage > 0 and 0 <= self.floor < 1):
            raise BadArms("penalty at least 0, temperature and shrinkage above 0, floor from 0 to below 1: expected")


@dataclass(frozen=True)
class RecoveringSoftmax:
    """The policy's state.

    Attributes:
        arms: K ids of variants.
        sums: what was seen of each.
        settings: its numbers.
    """

    arms: tuple[str, ...]
    sums: ArmSums
    settings: Settings = field(default_factory=Settings)

    def probabilities(self, exposure: Floats, eligible: Booleans) -> Floats:
        """Return each arm's probability, shape (n, K); rows sum to 1, arms that sleep get 0.

        Args:
            exposure: :func:`since_last` or decayed counts, shape (n, K), 0 for what was never seen.
            eligible: shape (n, K), at least one in each row.

        Raises:
            BadArms: the tables do not fit.
        """
        if exposure.shape[1:] != (len(self.arms),) or not (np.isfinite(exposure) & (exposure >= 0)).all():
            raise BadArms(f"exposure: expected {len(self.arms)} finite numbers a row, at least 0")
        score = self.sums.scores(self.settings.shrinkage) - self.settings.penalty * exposure
        check(score, eligible)
        return softmax(score, eligible, temperature=self.settings.temperature, floor=self.settings.floor)

    def as_json(self) -> dict[str, Any]:
        """Return the state as data that JSON writes and reads without losing a bit."""
        return {
            "schema": SCHEMA,
            "settings": asdict(self.settings),
            "arms": {
                arm: dict(zip(COLUMNS, row, strict=True))
                for arm, row in zip(self.arms, self.sums.table.tolist(), strict=True)
            },
        }

    @classmethod
    def from_json(cls, made: Any) -> "RecoveringSoftmax":
        """Read what :meth:`as_json` wrote.

        Raises:
            BadState: it is of another version, or a part is missing or wrong.
        """
        schema = made.get("schema") if isinstance(made, dict) else None
        if schema != SCHEMA:
            raise BadState(f"it is no state of schema {SCHEMA}: its schema is {schema!r}")
        try:
            rows = [[float(kept[column]) for column in COLUMNS] for kept in made["arms"].values()]
            policy = cls(tuple(made["arms"]), ArmSums(np.array(rows)), Settings(**made["settings"]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadState(f"a part of the state is missing or wrong: {error}") from None
        if not rows or not (np.isfinite(policy.sums.table) & (policy.sums.table >= 0)).all():
            raise BadState("arms: expected at least one, with finite sums of at least 0")
        return policy


def since_last(days: Floats) -> Floats:
    """Return 2^{-d/15} for days since an arm was last seen, any shape, at least 0; infinity for never."""
    fading: Floats = np.exp2(-days / HALF_LIFE_DAYS)
    return fading
