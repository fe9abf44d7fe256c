"""What a fit of a habit model gives, whatever it is fitted from."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from assets.steps.habit_rows import Habits

Files = Mapping[str, bytes]
"""A registered version's files by their names."""
RIVAL_MARGIN = 0.001
"""What a fit may tell less of the last days than the champion: rounding, and days the champion has seen as well."""


@dataclass(frozen=True)
class Fit:
    """A fitted model and what is known of it; ``refusal`` says why it may not decide, empty where it may."""

    files: Files
    features: Sequence[str]
    scorer: str
    params: Mapping[str, object]
    metrics: Mapping[str, float]
    figures: Mapping[str, bytes]
    rows: pd.DataFrame
    refusal: str
    limits: str


def held_to(
    champion: Files | None, files: Files, told: Callable[[Files], float], unit: str
) -> tuple[dict[str, float], str]:
    """Return what the champion tells of the last days, as a metric, and why a fit may not take its place.

    Both are empty without a champion; one that cannot be read is no rival.

    Args:
        champion: its files.
        files: of the fit.
        told: says how well a version's files tell the last days; more is better.
        unit: of that.
    """
    if champion is None:
        return {}, ""
    try:
        theirs = told(champion)
    except ValueError:
        return {}, ""
    return {f"champion_{unit}": theirs}, behind(told(files), theirs, unit)


def behind(mine: float, champion: float | None, unit: str) -> str:
    """Return why a fit may not take the champion's place, empty where it may.

    Args:
        mine: what the fit tells of the last days; more is better.
        champion: what the champion tells of the same days from the same histories; None without one.
        unit: of both.
    """
    if champion is None or mine >= champion - RIVAL_MARGIN:
        return ""
    return f"the champion tells the last days better: {champion:.4f} {unit}, this one {mine:.4f}"


def digest(habits: Habits) -> str:
    """Return what tells these habits from others; names nobody."""
    dated = (habits.hours, habits.messages, habits.sends)
    frames = (habits.who, *(each.drop(columns="age_days") for each in dated))
    hashed = [pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes() for frame in frames]
    return hashlib.sha256(b"".join(hashed)).hexdigest()


def sample(features: Sequence[str]) -> pd.DataFrame:
    """Return one row of nobody, which tells MLflow the columns: histories stay out of the registry."""
    return pd.DataFrame(0.0, index=range(1), columns=list(features)).assign(label=np.nan)
