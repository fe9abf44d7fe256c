"""Heartbeats of processes without a port: one small file each, replaced whole, that says how they are.

The age of a heartbeat tells of a process that hangs or is gone; beside it lie the process's metrics as text.
"""

import contextlib
import os
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from prometheus_client import CollectorRegistry, write_to_textfile
from pydantic import AwareDatetime, Field, ValidationError

from domain.values import Frozen

FOLDER = "health"
STALE_AFTER_SECONDS = 15.0
"""A process that lives and works has beaten within this time."""


class Doing(StrEnum):
    """What a process is busy with."""

    WORKING = "working"
    WAITING = "waiting"
    STOPPED = "stopped"


class Heartbeat(Frozen):
    """How a process was, at a moment of real time.

    ``problem`` says what it waits for. ``lag_seconds`` is the age of the oldest message it last handled or still
    has to, None before it knows. ``numbers`` count since its start.
    """

    name: str
    pid: int
    at: AwareDatetime
    doing: Doing
    problem: str | None = None
    lag_seconds: float | None = None
    numbers: dict[str, float] = Field(default_factory=dict)

    def is_alive(self, now: datetime) -> bool:
        """Tell whether the process lives and does its work, or has stopped doing so."""
        return self.doing is Doing.WORKING and (now - self.at).total_seconds() <= STALE_AFTER_SECONDS


def write(data_dir: Path, beat: Heartbeat, metrics: CollectorRegistry) -> None:
    """Replace a process's heartbeat and metrics; a full disk is survived, the beat then looks old."""
    folder = data_dir / FOLDER
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{beat.name}.{os.getpid()}"
        draft.write_text(beat.model_dump_json())
        draft.replace(folder / f"{beat.name}.json")
        write_to_textfile(str(folder / f"{beat.name}.prom"), metrics)


def read(data_dir: Path, name: str) -> Heartbeat | None:
    """Return a process's last heartbeat, None when it never had one."""
    try:
        return Heartbeat.model_validate_json((data_dir / FOLDER / f"{name}.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


class NotBeating(LookupError):
    """A process is gone, hangs or waits for something; the message says which."""


def require(data_dir: Path, name: str, now: datetime) -> None:
    """Do nothing when a process lives and works.

    Raises:
        NotBeating: it does not.
    """
    beat = read(data_dir, name)
    if beat is None or not beat.is_alive(now):
        state = "has never run" if beat is None else beat.problem or f"was {beat.doing.value} at {beat.at.isoformat()}"
        raise NotBeating(f"{name}: {state}")


def exposition(data_dir: Path) -> bytes:
    """Return the metrics of every such process, in Prometheus' text format."""
    found = sorted((data_dir / FOLDER).glob("*.prom"))
    return b"".join(path.read_bytes() for path in found)
