"""Whether a model can serve at all: finite probabilities, files that fit, and an answer in time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.promotion.finding import Claim, Finding

MOST_BYTES = 64 * 1024 * 1024
MOST_MILLISECONDS = 10.0
"""For one decision of twelve variants on four channels, 48 rows: the best of several tries, which no load disturbs."""
ROWS_OF_A_DECISION = 48


@dataclass(frozen=True)
class Measured:
    """What a model showed: ``p`` of its canary rows, or why there are none, its size, and its best time."""

    p: npt.NDArray[np.float64]
    problem: str | None
    size: int
    milliseconds: float


def findings(measured: Measured) -> Iterator[Finding]:
    """Hold what was measured against the limits of serving."""
    claim = Claim.FIT_TO_SERVE
    sound = int((np.isfinite(measured.p) & (measured.p > 0) & (measured.p < 1)).sum())
    whole = measured.problem is None and sound == len(measured.p) > 0
    told = measured.problem or f"{sound} of {len(measured.p)} canary predictions are probabilities"
    share = sound / max(len(measured.p), 1)
    yield Finding(claim, "canary.finite", whole, share, 1.0, f"canary rows: {told}")
    size = f"{measured.size} bytes: at most {MOST_BYTES}"
    yield Finding(claim, "size.bytes", measured.size <= MOST_BYTES, float(measured.size), float(MOST_BYTES), size)
    took = measured.milliseconds
    sentence = f"{took:.2f} ms for {ROWS_OF_A_DECISION} rows: at most {MOST_MILLISECONDS}"
    yield Finding(claim, "latency.milliseconds", took <= MOST_MILLISECONDS, took, MOST_MILLISECONDS, sentence)
