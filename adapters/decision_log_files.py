"""Tables of decisions somebody brings: CSV or Parquet, our columns or those of the Open Bandit Pipeline.

Columns: ``context.*, action, action_probability, reward [, eligible, recipient_id, position, at]``. Everything that
cannot be read is told with the column or the rows it is about.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.off_policy.log import Booleans, DecisionLog, Floats

PREFIX = "context."
REQUIRED = ("action", "action_probability", "reward")
OBP = {"item_id": "action", "propensity_score": "action_probability", "click": "reward", "timestamp": "at"}
"""Columns of an Open Bandit log, and what they are here; every other column of it is context."""

_KNOWN = {*REQUIRED, "eligible", "recipient_id", "position", "at"}
_NAMES = ("action", "item_id", "recipient_id", "position", "eligible")
_ROW_NAMES = ("Unnamed: 0", "index", "")


class BadTable(Exception):
    """A table cannot be used; the message names the file, and the column or the rows."""


def read_table(path: Path) -> pd.DataFrame:
    """Read CSV (also compressed) or Parquet.

    Raises:
        BadTable: there is no such file, or it is neither, or it is empty.
    """
    try:
        if path.name.endswith((".parquet", ".pq")):
            table = pd.read_parquet(path)
        else:
            names = pd.read_csv(path, nrows=0).columns
            texts = {name: str for name in _NAMES if name in names}
            table = pd.read_csv(path, dtype=texts, keep_default_na=True, low_memory=False)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise BadTable(f"{path}: cannot be read as {_kind(path)}: {error}") from None
    if table.empty:
        raise BadTable(f"{path}: has no rows")
    table.columns = table.columns.map(str)
    return table.reset_index(drop=True)


def read_log(path: Path, also: tuple[str, ...] = ()) -> DecisionLog:
    """Read a log of decisions.

    Args:
        path: the table.
        also: actions to have besides those the log names; eligible wherever the log does not say.

    Raises:
        BadTable: columns are missing, or a value is not what its column holds.
    """
    table = _as_ours(read_table(path))
    missing = [name for name in REQUIRED if name not in table]
    if missing:
        raise BadTable(f"{path}: these columns are missing: {', '.join(missing)}; it has: {_some(table.columns)}")
    taken = _names(table["action"], path, "action")
    allowed = _allowed(table, path)
    actions = _ordered({*taken, *also, *(name for row in allowed or () for name in row)})
    place = {name: index for index, name in enumerate(actions)}
    return DecisionLog(
        context=context_of(table),
        actions=actions,
        action=np.array([place[name] for name in taken], dtype=np.int64),
        probability=_numbers(table["action_probability"], path),
        reward=_numbers(table["reward"], path),
        eligible=_mask(allowed, place, len(table)),
        cluster=_clusters(table, path),
        position=np.array(_names(table["position"], path, "position")) if "position" in table else None,
    )


def read_features(path: Path, actions: tuple[str, ...]) -> tuple[pd.DataFrame, Booleans]:
    """Read rows to choose for: their context and which of the actions are eligible, shape (n, actions).

    Raises:
        BadTable: nothing is eligible in some row, or the table cannot be read.
    """
    table = _as_ours(read_table(path))
    mask = _mask(_allowed(table, path), {name: index for index, name in enumerate(actions)}, len(table))
    refuse_nothing_eligible(mask, path)
    return context_of(table), mask


def refuse_nothing_eligible(mask: Booleans, path: Path) -> None:
    """Raise BadTable where the policy knows no action that is eligible."""
    empty = np.flatnonzero(~mask.any(axis=1))
    if len(empty):
        raise BadTable(f"{path}: row {empty[0]} (and {len(empty) - 1} more): no action the policy knows is eligible")


def context_of(table: pd.DataFrame) -> pd.DataFrame:
    """Return the features without their prefix."""
    features = table[[name for name in map(str, table) if name.startswith(PREFIX)]]
    return features.rename(columns=lambda name: name.removeprefix(PREFIX))


def with_scores(columns: dict[str, Any]) -> pd.DataFrame:
    """Return a table whose first column, ``row``, counts the rows of the table asked about from 0."""
    table = pd.DataFrame(columns)
    table.insert(0, "row", np.arange(len(table)))
    return table


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write CSV or Parquet, whole or not at all.

    Raises:
        BadTable: it cannot be written there.
    """
    aside = path.with_name(f".{path.name}.writing")
    try:
        if path.name.endswith((".parquet", ".pq")):
            table.to_parquet(aside, index=False)
        else:
            table.to_csv(aside, index=False)
        aside.replace(path)
    except OSError as error:
        raise BadTable(f"{path}: cannot be written: {error}") from None


def _as_ours(table: pd.DataFrame) -> pd.DataFrame:
    """Return an Open Bandit table under our names; any other as it is."""
    if "action" in table or not {"item_id", "propensity_score", "click"} <= set(table.columns):
        return table
    kept = table.drop(columns=[name for name in _ROW_NAMES if name in table]).rename(columns=OBP)
    return kept.rename(columns={name: f"{PREFIX}{name}" for name in kept if name not in _KNOWN})


def _names(column: "pd.Series[Any]", path: Path, what: str) -> list[str]:
    empty = np.flatnonzero(column.isna().to_numpy())
    if len(empty):
        raise BadTable(f"{path}: {what} is missing in {len(empty)} rows, first in row {empty[0]}")
    if pd.api.types.is_float_dtype(column) and bool((column % 1 == 0).all()):
        column = column.astype("int64")
    return [str(value) for value in column]


def _ordered(names: set[str]) -> tuple[str, ...]:
    numbers = all(name.isdecimal() for name in names)
    return tuple(sorted(names, key=int)) if numbers else tuple(sorted(names))


def _numbers(column: "pd.Series[Any]", path: Path) -> Floats:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero((numbers.isna() & column.notna()).to_numpy())
    if len(wrong):
        raise BadTable(f"{path}: {column.name} must be a number: row {wrong[0]} has {column.iloc[wrong[0]]!r}")
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def _allowed(table: pd.DataFrame, path: Path) -> list[list[str]] | None:
    if "eligible" not in table:
        return None
    read: dict[str, list[str]] = {}
    rows = []
    for number, value in enumerate(table["eligible"]):
        key = value if isinstance(value, str) else json.dumps([str(name) for name in _listed(value, path, number)])
        if key not in read:
            read[key] = _split(key)
        rows.append(read[key])
    return rows


def _listed(value: Any, path: Path, number: int) -> list[Any]:
    if isinstance(value, list | tuple | np.ndarray):
        return list(value)
    raise BadTable(f"{path}: eligible must be a list of actions: row {number} has {value!r}")


def _split(text: str) -> list[str]:
    """Return the names of a JSON array, or of a text with ``|`` or ``;`` between them."""
    if text.lstrip().startswith("["):
        try:
            return [str(name) for name in json.loads(text)]
        except ValueError:
            return [name.strip(" '\"") for name in text.strip(" []").split(",")]
    return [name.strip() for name in text.replace(";", "|").split("|") if name.strip()]


def _mask(allowed: list[list[str]] | None, place: dict[str, int], rows: int) -> Booleans:
    if allowed is None:
        return np.ones((rows, len(place)), dtype=np.bool_)
    mask = np.zeros((rows, len(place)), dtype=np.bool_)
    for number, names in enumerate(allowed):
        mask[number, [place[name] for name in names if name in place]] = True
    return mask


def _clusters(table: pd.DataFrame, path: Path) -> npt.NDArray[np.int64]:
    if "recipient_id" not in table:
        return np.arange(len(table), dtype=np.int64)
    codes = np.unique(_names(table["recipient_id"], path, "recipient_id"), return_inverse=True)[1]
    return codes.astype(np.int64)


def _some(names: Any) -> str:
    shown = [str(name) for name in names]
    few = 12
    return ", ".join(shown[:few]) + (f" and {len(shown) - few} more" if len(shown) > few else "")


def _kind(path: Path) -> str:
    return "Parquet" if path.name.endswith((".parquet", ".pq")) else "CSV"
