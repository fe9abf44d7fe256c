"""A table of another policy's probabilities: one row per row of a log, one column ``p.<action>`` per action.

Where the log has positions, either one column ``p.<action>`` for the row's own position, or one
``p.<action>.<position>`` for each. Positions may be named as in the log or counted from 0 in their order.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from adapters.decision_log_files import BadTable, read_table
from models.off_policy.log import DecisionLog, Floats

PREFIX = "p."
_SEPARATORS = ".@_:/"
_SUM_TOLERANCE = 1e-6


def read_probabilities(path: Path) -> pd.DataFrame:
    """Read the table's columns of probabilities, without their prefix.

    Raises:
        BadTable: there are none, or it cannot be read.
    """
    table = read_table(path)
    columns = [name for name in map(str, table) if name.startswith(PREFIX)]
    if not columns:
        raise BadTable(f"{path}: has no column p.<action>")
    return table[columns].rename(columns=lambda name: name.removeprefix(PREFIX))


def actions_named(table: pd.DataFrame, positions: npt.NDArray[np.str_] | None) -> tuple[str, ...]:
    """Return the actions the table has probabilities for."""
    places = _places(table, positions)
    return tuple(dict.fromkeys(_without(name, places) for name in map(str, table)))


def aligned(table: pd.DataFrame, log: DecisionLog, path: Path) -> Floats:
    """Return the probability of each of the log's actions in each row, at the row's position, shape (n, K).

    Raises:
        BadTable: rows or columns are missing, or a row is no distribution.
    """
    if len(table) != len(log):
        raise BadTable(f"{path}: has {len(table)} rows, the log has {len(log)}: one row per row of the log is needed")
    places = _places(table, log.position)
    if places is None:
        return _distribution(table, log.actions, path)
    assert log.position is not None  # noqa: S101 - columns per position were found by the log's positions
    found = np.empty((len(log), len(log.actions)))
    for position, suffix in places.items():
        rows = log.position == position
        own = {name[: -len(suffix)]: name for name in map(str, table) if name.endswith(suffix)}
        part = table.loc[rows, list(own.values())].set_axis(list(own), axis=1)
        found[rows] = _distribution(part, log.actions, path)
    return found


def _places(table: pd.DataFrame, positions: npt.NDArray[np.str_] | None) -> dict[str, str] | None:
    """Return the ending of the columns of each position, None where columns are for the row's own position."""
    if positions is None:
        return None
    named = sorted(set(positions.tolist()), key=lambda name: (len(name), name))
    for labels in (named, [str(place) for place in range(len(named))]):
        for separator in _SEPARATORS:
            endings = [separator + label for label in labels]
            each = [{name[: -len(end)] for name in map(str, table) if name.endswith(end)} for end in endings]
            complete = sum(map(len, each)) == len(table.columns) and all(one == each[0] for one in each)
            if each[0] and complete:
                return dict(zip(named, endings, strict=True))
    return None


def _without(name: str, places: dict[str, str] | None) -> str:
    ending = next((end for end in (places or {}).values() if name.endswith(end)), "")
    return name[: len(name) - len(ending)]


def _distribution(table: pd.DataFrame, actions: tuple[str, ...], path: Path) -> Floats:
    missing = [name for name in actions if name not in table]
    if missing:
        raise BadTable(f"{path}: these columns are missing: {', '.join(f'p.{name}' for name in missing)}")
    try:
        found = table[list(actions)].to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        raise BadTable(f"{path}: a probability is not a number") from None
    wrong = ~np.isfinite(found).all(axis=1) | (found < 0).any(axis=1)
    wrong |= ~(np.abs(found.sum(axis=1) - 1) <= _SUM_TOLERANCE)
    if wrong.any():
        row = table.index[np.flatnonzero(wrong)[0]]
        raise BadTable(
            f"{path}: the probabilities of a row must be at least 0 and sum to 1: {int(wrong.sum())} rows do not, "
            f"first row {row}"
        )
    return found
