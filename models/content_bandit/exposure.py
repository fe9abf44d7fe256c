"""How often a recipient saw each arm, with the past fading: one number and one time for each arm ever seen.

h(t) = sum_k 2^{-(t - t_k) / 15 days}
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from models.arm_draws import Floats

HALF_LIFE = timedelta(days=15)


@dataclass(frozen=True)
class Exposure:
    """A decayed count and the moment it is for."""

    count: float
    at: datetime

    def until(self, now: datetime) -> float:
        """Return the count at another moment; what was seen after it grows, as if seen before its time."""
        return self.count * decay(now - self.at)


Memory = Mapping[str, Exposure]
"""A recipient's exposures by variant; empty for somebody who saw nothing."""


def decay(elapsed: timedelta) -> float:
    """Return what is left of an exposure after a time."""
    return float(2.0 ** -(elapsed / HALF_LIFE))


def seen(memory: Memory, variant: str, at: datetime) -> dict[str, Exposure]:
    """Return the memory after one more exposure, in whatever order exposures become known.

    Args:
        memory: what was seen before.
        variant: the arm's id.
        at: when it was seen, with a zone.
    """
    before = memory.get(variant)
    if before is None:
        return {**memory, variant: Exposure(1.0, at)}
    latest = max(before.at, at)
    return {**memory, variant: Exposure(before.until(latest) + decay(latest - at), latest)}


def table(memories: Sequence[Memory], arms: Sequence[str], now: datetime) -> Floats:
    """Return the decayed counts of n recipients at a moment, shape (n, K)."""
    counts = [[memory[arm].until(now) if arm in memory else 0.0 for arm in arms] for memory in memories]
    return np.array(counts, dtype=np.float64).reshape(len(memories), len(arms))


def as_json(memory: Memory) -> dict[str, Any]:
    """Return the memory as data."""
    return {variant: {"count": exposure.count, "at": exposure.at.isoformat()} for variant, exposure in memory.items()}


def from_json(made: Mapping[str, Any]) -> dict[str, Exposure]:
    """Read what :func:`as_json` wrote."""
    return {
        str(variant): Exposure(float(entry["count"]), datetime.fromisoformat(entry["at"]))
        for variant, entry in made.items()
    }
