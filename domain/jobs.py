"""Jobs: long work over many items, with a verdict on each and progress that a kill does not undo."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from domain.values import Frozen, Moment


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"

    @property
    def has_ended(self) -> bool:
        """True when nothing more will happen."""
        return self in (JobState.DONE, JobState.FAILED)


class ItemVerdict(StrEnum):
    """What became of one item."""

    DONE = "done"
    REFUSED = "refused"


class ItemResult(Frozen):
    """The verdict on one item; ``detail`` says what was expected of a refused one, never the value it had."""

    position: int = Field(description="The item's place in the request, from 0.")
    verdict: ItemVerdict
    detail: dict[str, Any] = Field(default_factory=dict)


class CannotGoOn(ValueError):
    """A job cannot come to its end; the message is told to its owner, so it repeats nothing that was asked."""


class Job(Frozen):
    """A job as its owner sees it."""

    job_id: str
    kind: str
    state: JobState
    total: int = Field(description="Items in all.")
    done: int = Field(description="Items with a verdict.")
    refused: int = Field(description="Items among them that were refused.")
    problem: str | None = Field(default=None, description="Why it failed.")
    created_at: Moment
    updated_at: Moment
