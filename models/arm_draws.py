"""What every policy over arms shares: the check of its tables, the floor, and the draw that a decision's id keys."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from domain.identity import draw

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

STREAM = "variant"
"""Name of the random stream an arm is drawn from."""

_SUM_TOLERANCE = 1e-9


class BadArms(ValueError):
    """Tables of arms do not fit together, or hold what no choice can be made of; says which and where."""


def check(values: Floats, eligible: Booleans) -> None:
    """Check that there is a finite value for each arm and an arm for each decision.

    Args:
        values: shape (n, K).
        eligible: shape (n, K); True where the arm may be taken.

    Raises:
        BadArms: shapes differ, a row has no arm, or an eligible arm's value is not finite.
    """
    if values.ndim != len(("n", "K")) or values.shape != eligible.shape:
        raise BadArms(f"eligible: expected the shape of the values, {values.shape}, not {eligible.shape}")
    if eligible.dtype != np.bool_:
        raise BadArms("eligible: expected true or false for each arm")
    if not eligible.any(axis=1).all():
        raise BadArms(f"eligible: expected at least one arm in row {int(np.argmin(eligible.any(axis=1)))}")
    if not np.isfinite(values[eligible]).all():
        raise BadArms("values: expected finite numbers for eligible arms")


def floored(probabilities: Floats, eligible: Booleans, floor: float) -> Floats:
    """Return probabilities mixed with a uniform share, so that each eligible arm has at least floor / |E|.

    Args:
        probabilities: shape (n, K), rows sum to 1, 0 where not eligible.
        eligible: shape (n, K).
        floor: share spread evenly over the eligible arms, in [0, 1].
    """
    counts = eligible.sum(axis=1, keepdims=True)
    mixed: Floats = (1 - floor) * probabilities + floor * eligible / counts
    return mixed


def draw_arms(probabilities: Floats, decision_ids: Sequence[str]) -> Integers:
    """Return the arm each decision draws, shape (n,): the same id and vector always draw the same.

    Args:
        probabilities: shape (n, K), the vectors that are logged.
        decision_ids: n ids.

    Raises:
        BadArms: a row is no distribution, or there is not an id for each row.
    """
    if probabilities.ndim != len(("n", "K")) or len(probabilities) != len(decision_ids):
        raise BadArms(f"probabilities: expected a row for each of {len(decision_ids)} decisions")
    if not (probabilities >= 0).all() or (np.abs(probabilities.sum(axis=1) - 1) > _SUM_TOLERANCE).any():
        raise BadArms("probabilities: expected rows of numbers that are at least 0 and sum to 1")
    points = np.array([draw(decision_id, STREAM) for decision_id in decision_ids]).reshape(-1, 1)
    passed = (points >= np.cumsum(probabilities, axis=1)).sum(axis=1)
    # Rounding may leave the last step below 1: the last arm that has a chance takes what is above it.
    last = probabilities.shape[1] - 1 - np.argmax(probabilities[:, ::-1] > 0, axis=1)
    drawn: Integers = np.minimum(passed, last).astype(np.int64)
    return drawn
