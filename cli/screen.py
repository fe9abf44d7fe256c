"""Shows what runs: one live table on a terminal, one line per change anywhere else."""

import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self

import psutil
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.child import Row, State

_STYLE_BY_STATE = {
    State.WAITING: "dim",
    State.STARTING: "yellow",
    State.READY: "green",
    State.STOPPED: "dim",
    State.DEAD: "bold red",
}
_MIB = 1024 * 1024


class Screen:
    """Where a command says what it does; use it as a ``with`` block around the work."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._told: dict[str, State] = {}

    def say(self, text: str) -> None:
        """Print a line, above the table."""
        self._console.print(text, markup=False, soft_wrap=True)

    def show(self, rows: Sequence[Row]) -> None:
        """Show the processes as they are now."""
        if self._live:
            self._live.update(as_table(rows), refresh=True)
            return
        for row in rows:
            if self._told.get(row.name) is not row.state:
                self._told[row.name] = row.state
                self.say(as_line(row))

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()


def as_line(row: Row) -> str:
    """Return one process as plain text."""
    facts = [row.name.ljust(18), row.state.value.ljust(8)]
    if row.process and row.state in {State.STARTING, State.READY}:
        facts.append(f"pid {row.process.pid}")
    if row.port and row.state is State.READY:
        facts.append(f"127.0.0.1:{row.port}")
    return "  ".join(facts).rstrip()


def as_table(rows: Iterable[Row]) -> Table:
    """Return the processes as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("process", "state", "for", "pid", "port", "RSS", "log"):
        table.add_column(heading, justify="right" if heading in {"for", "pid", "port", "RSS"} else "left")
    for row in rows:
        runs = row.process is not None and row.process.poll() is None
        table.add_row(
            row.name,
            Text(row.state.value, style=_STYLE_BY_STATE[row.state]),
            str(timedelta(seconds=int(time.monotonic() - row.since))),
            str(row.process.pid) if row.process and runs else "",
            str(row.port or ""),
            f"{resident(row.process.pid) / _MIB:.0f} MiB" if row.process and runs else "",
            str(row.log),
        )
    return table


def resident(pid: int) -> int:
    """Return the bytes of memory a process and its children keep resident; what they share counts once."""
    try:
        top = psutil.Process(pid)
        below = [process.memory_info() for process in top.children(recursive=True)]
        # Not every system tells what is shared; there it counts for each.
        return int(top.memory_info().rss + sum(memory.rss - getattr(memory, "shared", 0) for memory in below))
    except psutil.Error:
        return 0
