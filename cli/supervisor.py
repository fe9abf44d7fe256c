"""Starts processes, waits until each is ready, notices when one dies, and ends all of them.

Nothing stays behind: a process is ended with its whole group, and whatever it started carries our mark in its
environment, by which it is found even when it has left the group.
"""

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from adapters.embedded.processes import StartFailed, size, spawn, tail
from cli.child import Child, Row, Server, State
from cli.marks import MARK, end_marked
from cli.readiness import Seen

POLL_SECONDS = 0.1
_REDRAW_SECONDS = 1.0


class ChildDied(StartFailed):
    """A process ended by itself; the message has its exit code and the end of its log."""


class Stopped(RuntimeError):
    """A stop was asked for while processes were starting."""


class Supervisor:
    """The processes of one stack, in the order they were started."""

    def __init__(
        self,
        *,
        show: Callable[[Sequence[Row]], None] = lambda _: None,
        stop_requested: Callable[[], bool] = lambda: False,
    ) -> None:
        """Prepare to start processes.

        Args:
            show: told about every change, and once a second.
            stop_requested: asked between steps; True ends a wait.
        """
        self.mark = uuid.uuid4().hex
        self.rows: list[Row] = []
        self._show = show
        self._stop_requested = stop_requested
        self._shown_at = 0.0

    def adopt(self, name: str, server: Server, log: Path) -> None:
        """Watch a server that runs already, and stop it after everything started later."""
        row = Row(name, log, server.port, State.READY, server.process, server=server)
        self.rows.append(row)
        self._redraw()

    def start(self, children: Sequence[Child]) -> None:
        """Start processes, each as soon as those it needs are ready, and wait until all are.

        Raises:
            ChildDied: one ended, or did not become ready in time.
            Stopped: a stop was asked for.
        """
        rows = [Row(child.name, child.log, child.port, child=child) for child in children]
        self.rows += rows
        while any(row.state is not State.READY for row in rows):
            for row in rows:
                self._advance(row)
            self.pause()

    def pause(self) -> None:
        """Take one breath: look after the processes, show them, and wait a moment.

        Raises:
            ChildDied: one ended.
            Stopped: a stop was asked for.
        """
        self.check()
        if self._stop_requested():
            raise Stopped("stopped on request")
        if time.monotonic() - self._shown_at > _REDRAW_SECONDS:
            self._redraw()
        time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raise when a process has died.

        Raises:
            ChildDied: with its name, exit code and the end of its log.
        """
        for row in self.rows:
            if row.state in {State.STARTING, State.READY} and row.process and row.process.poll() is not None:
                row.enter(State.DEAD)
                self._redraw()
                raise ChildDied(f"{row.name} {ending(row.process.returncode)}{_end_of(row)}")

    def stop(self, *, patience: float = 1.0) -> None:
        """End everything: ask the processes in reverse order, kill what does not listen, servers last.

        Args:
            patience: factor on the time each process is given; 0 kills at once.
        """
        rows = [row for row in reversed(self.rows) if row.process and row.state is not State.STOPPED]
        for row in rows:
            if row.child and row.process:
                _signal_group(row.process, signal.SIGTERM)
        for row in rows:
            if row.child and row.process:
                _wait(row.process, patience * row.child.grace_seconds)
                _signal_group(row.process, signal.SIGKILL)
                row.process.wait()
                self._ended(row)
        end_marked(self.mark, seconds=0)
        for row in rows:
            if row.server:
                row.server.stop()
                self._ended(row)

    def kill(self, name: str) -> None:
        """SIGKILL one process and all it started, and forget it, as a crash would; ``start`` it again afterwards."""
        row = next(row for row in self.rows if row.name == name)
        self.rows.remove(row)
        if row.server:
            row.server.kill()
        elif row.process:
            _signal_group(row.process, signal.SIGKILL)
            row.process.wait()
            end_marked(f"{self.mark}/{name}", seconds=0)

    def _advance(self, row: Row) -> None:
        child = row.child
        if child is None or row.state is State.READY:
            return
        if row.state is State.WAITING:
            ready = {other.name for other in self.rows if other.state is State.READY}
            if ready.issuperset(child.after):
                self._spawn(row, child)
        elif row.process and child.ready(Seen(row.process.pid, _said(row))):
            row.enter(State.READY)
            self._redraw()
        elif time.monotonic() - row.since > child.ready_seconds:
            raise ChildDied(f"{row.name} was not ready after {child.ready_seconds:.0f} s{_end_of(row)}")

    def _spawn(self, row: Row, child: Child) -> None:
        row.log_offset = size(child.log)
        environment = {**child.env, MARK: f"{self.mark}/{child.name}"}
        row.process = spawn(child.argv, cwd=child.cwd, log=child.log, env=environment)
        row.enter(State.STARTING)
        self._redraw()

    def _ended(self, row: Row) -> None:
        if row.state is not State.DEAD:
            row.enter(State.STOPPED)
        self._redraw()

    def _redraw(self) -> None:
        self._shown_at = time.monotonic()
        self._show(self.rows)


def ending(code: int) -> str:
    """Say how a process ended, given its exit code or, negative, the signal that ended it."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # Once its leader is reaped, a group's number may be someone else's; what is left of it carries our mark.
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def _said(row: Row) -> str:
    return tail(row.log, since=row.log_offset, lines=200)


def _end_of(row: Row) -> str:
    said = tail(row.log, since=row.log_offset)
    return f"; the end of {row.log}:\n{said}" if said else f"; it logged nothing to {row.log}"
