"""Worlds measured one after the other, each kept as soon as it is done, so that a long run can be cut and gone on with.

With a journal, a file of one JSON object a line, worlds that are in it are not measured again. What another version of
a measurement wrote is for whoever keeps the file to remove.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

JOURNAL: Path | None = None
"""Where worlds are kept; nowhere when None. Set once, by the command line."""


def each(name: str, seeds: Iterable[int], measure: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is measured in the world of each seed, in the order of the seeds.

    Args:
        name: of the measurement in the journal; worlds of one name and seed are the same.
        seeds: of the worlds.
        measure: from a seed to numbers by name.
    """
    asked, done = list(seeds), _kept(name)
    for seed in asked:
        if seed in done:
            continue
        started = time.perf_counter()
        done[seed] = measure(seed)
        _keep(name, seed, done[seed])
        count = sum(one in done for one in asked)
        print(f"{name}: {count} of {len(asked)} worlds, {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return [done[seed] for seed in asked]


def _kept(name: str) -> dict[int, dict[str, Any]]:
    if JOURNAL is None or not JOURNAL.exists():
        return {}
    whole = JOURNAL.read_text().rpartition("\n")[0]
    rows = map(json.loads, whole.splitlines())
    return {row["seed"]: row["found"] for row in rows if row["name"] == name}


def _keep(name: str, seed: int, found: dict[str, Any]) -> None:
    if JOURNAL is not None:
        with JOURNAL.open("a+b") as file:
            # A world that was cut off while it was written is forgotten, so that the next stands on its own line.
            file.truncate(_end(file))
            file.write(json.dumps({"name": name, "seed": seed, "found": found}).encode() + b"\n")


def _end(file: IO[bytes]) -> int:
    """Return where the last whole line ends."""
    file.seek(0)
    return file.read().rfind(b"\n") + 1
