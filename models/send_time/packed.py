"""Counts of a week as text that fits into one column: 168 numbers of 16 bits, little endian, in base64."""

import base64
import binascii

import numpy as np

from models.send_time.spec import HOURS_OF_WEEK, Floats

_TYPE = np.dtype("<f2")


def to_text(counts: Floats) -> str:
    """Return decayed counts by hour of the week, shape (168,), at least 0, as 448 letters."""
    return base64.b64encode(counts.astype(_TYPE).tobytes()).decode()


def from_text(text: str) -> Floats:
    """Return the counts that a text holds, shape (168,), to three digits.

    Raises:
        ValueError: the text holds none; says what was expected.
    """
    try:
        counts = np.frombuffer(base64.b64decode(text, validate=True), _TYPE).astype(np.float64)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"hours: expected {HOURS_OF_WEEK} numbers in base64") from error
    if counts.shape != (HOURS_OF_WEEK,) or not (np.isfinite(counts).all() and (counts >= 0).all()):
        raise ValueError(f"hours: expected {HOURS_OF_WEEK} finite numbers, at least 0")
    return counts
