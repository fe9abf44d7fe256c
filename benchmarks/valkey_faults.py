"""Decisions while Valkey stops, dies, forgets everything, or is reached over a slow and lossy line, one at a time.

Decisions are asked for at a steady rate, whether those before are answered or not, and each counts from when it was
due. ``first`` is the first second after the fault begins, ``then`` the rest. Each fault lasts ``--seconds``; after it,
``recovered`` is the time until a decision reads its features again (a server that died or forgot is given them anew
first). Every decision in it reaches Valkey over the same line, slow only in the fault of that name
(``benchmarks.slow_line``). ``--json`` prints one object on the last line.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.embedded.valkey import start_valkey
from adapters.redis.client import connect
from benchmarks.arguments import parsed
from benchmarks.deciding import Bench, bench_of, load, recovered, told
from benchmarks.slow_line import Line, line_to
from serving import logs
from tests.pausing import paused

RESTED_SECONDS = 3.0
"""Of load before each fault, which is not counted: every connection is open then."""


@dataclass
class _Scene:
    bench: Bench
    line: Line
    folder: Path
    kept: ExitStack

    @contextmanager
    def killed(self) -> Iterator[None]:
        """SIGKILL, and started again on its port after the block."""
        port = self.bench.valkey.port
        self.bench.valkey.kill()
        yield
        started = start_valkey(self.folder / "valkey", log=self.folder / "valkey.log", port=port)
        self.bench.valkey = self.kept.enter_context(started)
        self.bench.servers["redis"] = self.bench.valkey.pid
        self.bench.write_features()

    @contextmanager
    def flushed(self) -> Iterator[None]:
        """FLUSHALL; features are written again after the block, as the next materialization would."""
        with connect(self.bench.valkey.url, timeout_ms=5_000) as client:
            client.flushall()
        yield
        self.bench.write_features()

    def faults(self) -> dict[str, Callable[[], AbstractContextManager[None]]]:
        """Return every fault by its name, the server that dies last."""
        return {
            "nothing": nullcontext,
            "stopped": lambda: paused(self.bench.servers["redis"]),
            "slow line": self.line.slow,
            "flushed": self.flushed,
            "killed": self.killed,
        }


def _measured(scene: _Scene, name: str, seconds: float, rate: float) -> dict[str, Any]:
    load(scene.bench, RESTED_SECONDS, rate)
    with scene.faults()[name]():
        answers = load(scene.bench, seconds, rate)
    return {"fault": name, **told(scene.bench, answers), "recovered_s": recovered(scene.bench)}


def main() -> None:
    """Measure, and print."""
    asked = parsed(__doc__, seconds=(30.0, "of each fault"), rate=(20.0, "decisions a second"))
    logs.configure("error")
    lines: list[Line] = []

    @contextmanager
    def line(port: int) -> Iterator[int]:
        with line_to(port) as (leads_there, made):
            lines.append(made)
            yield leads_there

    found = []
    with (
        tempfile.TemporaryDirectory(prefix="kairos-valkey-faults-") as folder,
        bench_of(Path(folder), line=line) as bench,
        ExitStack() as kept,
    ):
        scene = _Scene(bench, lines[0], Path(folder), kept)
        for name in scene.faults():
            found.append(_measured(scene, name, asked.seconds, asked.rate))
            print(found[-1], flush=True)
    if asked.json:
        print(json.dumps({"rate": asked.rate, "load": os.getloadavg()[0], "faults": found}))


if __name__ == "__main__":
    main()
