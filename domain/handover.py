"""Hand-overs: what is left to do after a decision, and the moment at which it is done or given up.

A message that waits, and one that must reach its recipient, is decided about again when its time has come: by the
same gates, on the reading that is locked when it commits. What was drawn before is never drawn again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field

from domain.contact_budget import Contact
from domain.must_reach import Reached
from domain.policy import Action
from domain.values import Channel, Frozen, Reason

LIFE = timedelta(days=7)
"""How long after its moment a message without an expiry may still be handed over: as long as the longest patience."""


class Kind(StrEnum):
    """What is left to do."""

    DEFERRAL = "deferral"
    ESCALATION = "escalation"
    DIGEST = "digest"


class State(StrEnum):
    """How it stands; every state but the first is final."""

    WAITING = "waiting"
    HANDED_OVER = "handed_over"
    STOPPED = "stopped"
    REACHED = "reached"


class Verdict(StrEnum):
    """What a hand-over answers."""

    GO = "go"
    WAIT = "wait"
    STOP = "stop"


class Followed(Frozen):
    """A decision that is followed together with others, under the attempt that is decided about."""

    decision_id: str
    attempt: int = Field(ge=0)


class Follows(Frozen):
    """What a decision goes on with: the one before it, and what that one had drawn already.

    ``attempt`` counts the times it was asked and had to wait again; ``sends``, for a message that must reach, how many
    were sent before. A digest goes on with ``others`` too.
    """

    decision_id: str
    kind: Kind
    attempt: int = Field(ge=0)
    sends: int = Field(default=0, ge=0)
    settled: Action | None = None
    others: tuple[Followed, ...] = ()

    @property
    def every(self) -> tuple[Followed, ...]:
        """All decisions that are followed, in the order in which their rows are taken."""
        first = Followed(decision_id=self.decision_id, attempt=self.attempt)
        return tuple(sorted((first, *self.others), key=lambda each: each.decision_id))

    @property
    def decision_ids(self) -> tuple[str, ...]:
        """The ids of all decisions that are followed."""
        return tuple(each.decision_id for each in self.every)

    def facts(self) -> dict[str, Any]:
        """Return it as it is recorded."""
        return self.model_dump(mode="json", exclude=None if self.others else {"others"})


@dataclass(frozen=True)
class FollowUp:
    """What is left to do after a decision, from a moment on and before another one.

    ``settled`` is the channel and variant that were drawn, None when the channel is open. ``remaining`` are the
    channels that a message that must reach may go on to. ``reserved`` is the contact that counts until then.
    """

    kind: Kind
    due_at: datetime
    expires_at: datetime
    settled: Action | None = None
    remaining: tuple[Channel, ...] = ()
    until: Reached | None = None
    sends: int = 0
    reserved: Contact | None = None


def before_the_gates(
    state: State,
    reason: Reason | None,
    *,
    due_at: datetime,
    expires_at: datetime,
    now: datetime,
    kind: Kind = Kind.DEFERRAL,
) -> tuple[Verdict, Reason] | None:
    """Return what a hand-over comes to without asking the gates, or None where they decide.

    Args:
        state: how it stands.
        reason: why it was stopped, if it was.
        due_at: before this moment it waits.
        expires_at: from this moment on it is worthless.
        now: the tenant's clock.
        kind: what waits for a digest is due with it, never by itself.
    """
    if state is State.REACHED:
        return Verdict.STOP, Reason.HANDOVER_REACHED
    if state is not State.WAITING:
        return Verdict.STOP, reason if state is State.STOPPED and reason is not None else Reason.HANDOVER_DONE
    if expires_at <= now:
        return Verdict.STOP, Reason.EXPIRY_PASSED
    if now < due_at:
        return Verdict.WAIT, Reason.HANDOVER_NOT_DUE
    return (Verdict.WAIT, Reason.HANDOVER_IN_DIGEST) if kind is Kind.DIGEST else None


def why_no_digest(ended: Sequence[tuple[State, Reason | None]], *, has_singles: bool) -> Reason:
    """Return why nothing of a digest is left to hand over.

    Args:
        ended: how each message that stayed in it stands, and why it was stopped, if it was.
        has_singles: whether others left it to go by themselves.
    """
    if any(state is State.HANDED_OVER for state, _ in ended):
        return Reason.HANDOVER_DONE
    if has_singles:
        return Reason.HANDOVER_SINGLY
    return next((reason for _, reason in ended if reason is not None), Reason.EXPIRY_PASSED)
