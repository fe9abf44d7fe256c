"""What a service answered, day by day, in a file: a run that was stopped goes on where it stood.

People's own days follow from the seed; only the answers have to be kept. A line is written whole or not at all: a
torn last line is a day that has to be asked about again, which gives the same answers under the same keys.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class OtherRun(ValueError):
    """The file is the journal of another run, or no journal."""


class Journal:
    """The answers of the days so far; without a file they are kept for this run only."""

    def __init__(self, path: Path | None, about: Mapping[str, Any]) -> None:
        """Read what is there.

        Args:
            path: the file; made when the first line is written.
            about: what the run is: a journal of anything else is not gone on with.

        Raises:
            OtherRun: the file says that it is about something else, or is no journal.
            OSError: the file cannot be read.
        """
        self._path = path
        self._days: dict[int, list[dict[str, Any]]] = {}
        kept = _lines(path) if path is not None and path.exists() else []
        if kept and kept[0] != {"about": dict(about)}:
            raise OtherRun(f"{path} is the journal of another run: {json.dumps(kept[0])[:300]}")
        if not kept:
            self._write({"about": dict(about)}, anew=True)
        for line in kept[1:]:
            self._days[line["day"]] = line["answers"]
        if path is not None and kept:
            self._mend(kept)

    @property
    def last_day(self) -> int:
        """The last day whose answers are kept, -1 for none."""
        return max(self._days, default=-1)

    def answers(self, day: int) -> Sequence[Mapping[str, Any]] | None:
        """Return what was answered that day, or None when it was not asked yet."""
        return self._days.get(day)

    def keep(self, day: int, answers: Sequence[Mapping[str, Any]]) -> None:
        """Keep a day's answers."""
        self._days[day] = [dict(each) for each in answers]
        self._write({"day": day, "answers": self._days[day]})

    def _mend(self, kept: Sequence[Mapping[str, Any]]) -> None:
        """Take a torn last line away, so that the next one begins a line."""
        if self._path is not None and not self._path.read_bytes().endswith(b"\n"):
            self._path.write_text("".join(_line(each) for each in kept), encoding="utf-8")

    def _write(self, what: Mapping[str, Any], *, anew: bool = False) -> None:
        if self._path is None:
            return
        with self._path.open("w" if anew else "a", encoding="utf-8") as file:
            file.write(_line(what))


def _line(what: Mapping[str, Any]) -> str:
    return json.dumps(what, separators=(",", ":")) + "\n"


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines; a last one without its end is left out."""
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    try:
        found = [json.loads(line) for line in whole.splitlines()]
    except ValueError:
        raise OtherRun(f"{path} is no journal of a simulation") from None
    if not all(isinstance(each, dict) for each in found):
        raise OtherRun(f"{path} is no journal of a simulation")
    return found
