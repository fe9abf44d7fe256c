"""From a table of context to numbers, and as JSON, so that what was trained on one table is applied to another."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from models.off_policy.log import Floats

MOST_LEVELS = 20
"""Levels of a text feature that get a column of their own: the most frequent ones."""

RAREST_LEVEL = 0.005
"""Share of the rows below which a level has none."""


class MissingFeature(ValueError):
    """A table lacks columns a policy needs."""


@dataclass(frozen=True)
class Encoding:
    """How each feature becomes columns; every column has mean 0 and, unless constant, deviation 1 where it was made.

    Attributes:
        numeric: (name, mean, deviation) of each number; missing becomes the mean.
        levels: (name, levels, means, deviations) of each text; a level never seen is none of them.
    """

    numeric: tuple[tuple[str, float, float], ...]
    levels: tuple[tuple[str, tuple[str, ...], tuple[float, ...], tuple[float, ...]], ...]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features it reads."""
        return tuple(name for name, *_ in self.numeric) + tuple(name for name, *_ in self.levels)

    def matrix(self, context: pd.DataFrame) -> Floats:
        """Return the encoded rows, shape (n, columns).

        Raises:
            MissingFeature: a column is not there, or is text where it was a number.
        """
        missing = [name for name in self.features if name not in context]
        if missing:
            raise MissingFeature(f"these columns are missing: {', '.join(f'context.{name}' for name in missing)}")
        columns = [_scaled(_numbers(context[name], name), mean, deviation) for name, mean, deviation in self.numeric]
        for name, names, means, deviations in self.levels:
            text = _text(context[name])
            columns += [
                _scaled((text == level).astype(np.float64), mean, deviation)
                for level, mean, deviation in zip(names, means, deviations, strict=True)
            ]
        return np.column_stack(columns) if columns else np.zeros((len(context), 0))

    def as_json(self) -> dict[str, Any]:
        """Return what :meth:`from_json` reads."""
        return {"numeric": [list(part) for part in self.numeric], "levels": [list(part) for part in self.levels]}

    @classmethod
    def from_json(cls, made: dict[str, Any]) -> "Encoding":
        """Read what :meth:`as_json` wrote."""
        return cls(
            tuple((str(name), float(mean), float(deviation)) for name, mean, deviation in made["numeric"]),
            tuple(
                (str(name), tuple(map(str, names)), tuple(map(float, means)), tuple(map(float, deviations)))
                for name, names, means, deviations in made["levels"]
            ),
        )


def encoding_of(context: pd.DataFrame) -> Encoding:
    """Return the encoding of these rows' features: numbers and truth values as numbers, everything else as levels."""
    numeric, levels = [], []
    for name in context:
        column = context[name]
        if is_numeric_dtype(column) or is_bool_dtype(column):
            values = _numbers(column, str(name))
            known = values[~np.isnan(values)]
            mean, deviation = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
            numeric.append((str(name), mean, deviation))
        else:
            levels.append((str(name), *_frequent(_text(column))))
    return Encoding(tuple(numeric), tuple(levels))


def _frequent(text: "pd.Series[str]") -> tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]:
    shares = text.value_counts(normalize=True)
    kept = shares[shares >= RAREST_LEVEL].sort_index().sort_values(ascending=False, kind="stable").head(MOST_LEVELS)
    means = tuple(float(share) for share in kept)
    return tuple(map(str, kept.index)), means, tuple((mean * (1 - mean)) ** 0.5 for mean in means)


def _numbers(column: "pd.Series[Any]", name: str) -> Floats:
    try:
        values = column.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise MissingFeature(f"context.{name} must be a number, as it was in the log") from None
    return np.where(np.isfinite(values), values, np.nan)


def _text(column: "pd.Series[Any]") -> "pd.Series[str]":
    return column.astype("string").fillna("").astype(str).reset_index(drop=True)


def _scaled(values: Any, mean: float, deviation: float) -> Floats:
    scaled = (np.asarray(values, dtype=np.float64) - mean) / (deviation or 1.0)
    return np.where(np.isnan(scaled), 0.0, scaled)
