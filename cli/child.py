"""A process to run, and what becomes of it."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from cli.readiness import Ready


class State(StrEnum):
    """Where a process is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    STOPPED = "stopped"
    DEAD = "dead"


@dataclass(frozen=True)
class Child:
    """A process to run.

    Args:
        name: what people call it; also its log's name.
        argv: program and arguments.
        env: its whole environment.
        cwd: folder it starts in.
        log: file its output is appended to.
        ready: passes when it does its work.
        after: processes that must be ready before it starts.
        port: where it listens, for the table.
        ready_seconds: longest wait for it to be ready.
        grace_seconds: how long it may take to end when asked, before it is killed.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    ready: Ready
    after: tuple[str, ...] = ()
    port: int | None = None
    ready_seconds: float = 180.0
    grace_seconds: float = 20.0


class Server(Protocol):
    """A process that was started elsewhere and ends itself in its own way."""

    port: int
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End it."""

    def kill(self) -> None:
        """SIGKILL it and all its processes."""


@dataclass
class Row:
    """One process as it is now."""

    name: str
    log: Path
    port: int | None
    state: State = State.WAITING
    process: subprocess.Popen[bytes] | None = None
    log_offset: int = 0
    since: float = field(default_factory=time.monotonic)
    child: Child | None = None
    server: Server | None = None

    def enter(self, state: State) -> None:
        """Change the state and note when."""
        self.state, self.since = state, time.monotonic()
