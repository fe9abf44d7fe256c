"""Decisions while servers hang: how many are answered, how late and from which rung, one at a time and together.

Decisions are asked for at a steady rate, whether those before are answered or not, and each counts from when it was
due; ``--rate 0`` is a closed loop of a few threads without pause instead, which mostly tells how busy the machine is.
``first`` is the first second after a server hangs, ``then`` the rest. MLflow is not on the way of a decision: it is
down all the time. ``--watched 0`` leaves out who watches the servers, for comparison. ``--json`` prints one object on
the last line. PostgreSQL and Valkey are started for the measurement and removed after it.
"""

import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.arguments import parsed
from benchmarks.deciding import Bench, bench_of, load, recovered, told
from serving import logs
from tests.pausing import paused


def _measured(bench: Bench, stopped: Sequence[str], seconds: float, rate: float) -> dict[str, Any]:
    with ExitStack() as stack:
        for name in stopped:
            stack.enter_context(paused(bench.servers[name]))
        answers = load(bench, seconds, rate)
    return {"stopped": "+".join(stopped) or "nothing", **told(bench, answers), "recovered_s": recovered(bench)}


def main() -> None:
    """Measure, and print."""
    asked = parsed(
        __doc__,
        seconds=(10.0, "of load in each state"),
        rate=(20.0, "decisions a second; 0 is a closed loop"),
        watched=(1, "0 leaves out who watches the servers"),
    )
    logs.configure("error")
    with (
        tempfile.TemporaryDirectory(prefix="kairos-degradation-") as folder,
        bench_of(Path(folder), is_watched=bool(asked.watched)) as bench,
    ):
        load(bench, 2.0, asked.rate)
        states: list[tuple[str, ...]] = [(), ("redis",), ("postgres",), ("redis", "postgres")]
        found = [_measured(bench, each, asked.seconds, asked.rate) for each in states]
    for each in found:
        print(each)
    if asked.json:
        print(
            json.dumps(
                {"rate": asked.rate, "watched": bool(asked.watched), "load": os.getloadavg()[0], "states": found}
            )
        )


if __name__ == "__main__":
    main()
