"""What people are sorted by: how many hours they are active in each part of the week, none of them known by an open."""

from typing import Final

import numpy as np

from models.clusters.train import Floats

COLUMNS: Final = ("weekday_night", "weekday_morning", "weekday_afternoon", "weekday_evening", "weekend")
"""Quarters of the day from Monday to Friday, from midnight on, and both other days."""
_DAYS, _QUARTERS, _HOURS = 7, 4, 6
_WEEKDAYS = 5


def of_weeks(hours: Floats) -> Floats:
    """Return hours with activity by part of the week, shape (n, 5).

    Args:
        hours: the same by hour of the week, the first of them Monday 00:00, shape (n, 168).

    Raises:
        ValueError: there are not 168 hours.
    """
    if hours.ndim != 2 or hours.shape[1] != _DAYS * _QUARTERS * _HOURS:  # noqa: PLR2004
        raise ValueError(f"hours: expected {_DAYS * _QUARTERS * _HOURS} of them, got shape {hours.shape}")
    parts = hours.reshape(-1, _DAYS, _QUARTERS, _HOURS).sum(axis=3)
    weekend = parts[:, _WEEKDAYS:].sum(axis=(1, 2))
    return np.column_stack([parts[:, :_WEEKDAYS].sum(axis=1), weekend])
