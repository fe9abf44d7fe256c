"""Files of simulated events: JSON lines or Parquet in the event contract, whole or not at all."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from models.simulator import events

if TYPE_CHECKING:
    from models.simulator.run import Run

_ENDINGS = (".jsonl", ".parquet")


class CannotWrite(ValueError):
    """The file cannot be written there; says why."""


def check(path: Path | None) -> None:
    """Refuse a place nothing can be written to, before the work is done.

    Raises:
        CannotWrite: the ending is another, or there is no such folder.
    """
    if path is None:
        return
    if path.suffix not in _ENDINGS:
        raise CannotWrite(f"{path}: the name must end in one of {', '.join(_ENDINGS)}")
    if not path.parent.is_dir():
        raise CannotWrite(f"{path}: there is no such folder")


def write(run: "Run", path: Path, *, name: str, start: datetime) -> int:
    """Write all events of a run and return how many.

    Args:
        run: what happened.
        path: ``*.jsonl`` or ``*.parquet``; replaced when it is there.
        name: begins every id.
        start: midnight of day 0, with its offset.

    Raises:
        CannotWrite: the file system says no.
    """
    told = events.table(run, name=name, start=start)
    aside = path.with_name(f".{path.name}.writing")
    try:
        if path.suffix == ".parquet":
            _typed(told).to_parquet(aside, index=False)
        else:
            with aside.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(event, separators=(",", ":")) + "\n" for event in events.nested(told))
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise CannotWrite(f"{path}: cannot be written: {error.strerror or error}") from None
    return len(told)


def _typed(told: pd.DataFrame) -> pd.DataFrame:
    """Return the table with a type for each column, so that an empty one is the same kind of thing."""
    kinds: dict[str, str] = dict.fromkeys(map(str, told.columns), "string")
    kinds |= {"occurred_at": "datetime64[us, UTC]"}
    for column, kind in (("value.minor", "Int64"), ("properties.action_probability", "Float64")):
        if column in told:
            kinds[column] = kind
    return told.astype(kinds)
