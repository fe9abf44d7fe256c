"""What a fit of a habit model gives, whatever it is fitted from."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from assets.steps.habit_rows import Habits


@dataclass(frozen=True)
class Fit:
    """A fitted model and what is known of it; ``refusal`` says why it may not decide, empty where it may."""

    files: Mapping[str, bytes]
    features: Sequence[str]
    scorer: str
    params: Mapping[str, object]
    metrics: Mapping[str, float]
    figures: Mapping[str, bytes]
    rows: pd.DataFrame
    refusal: str
    limits: str


def digest(habits: Habits) -> str:
    """Return what tells these habits from others; names nobody."""
    frames = (habits.who, habits.hours.drop(columns="age_days"), habits.messages.drop(columns="age_days"))
    hashed = [pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes() for frame in frames]
    return hashlib.sha256(b"".join(hashed)).hexdigest()


def sample(features: Sequence[str]) -> pd.DataFrame:
    """Return one row of nobody, which tells MLflow the columns: histories stay out of the registry."""
    return pd.DataFrame(0.0, index=range(1), columns=list(features)).assign(label=np.nan)
