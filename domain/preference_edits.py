"""Edits of preferences as devices send them: what one says, what it is refused for, and what became of it.

``preference_sync`` decides what holds; this says what may take part in that at all.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationInfo, field_validator

from domain import preference_sync
from domain.preference_scopes import Scope
from domain.preference_sync import Edit
from domain.preferences import MAX_PREFERENCES, Preference, PreferenceValue
from domain.values import Frozen, Moment

SERVER = "server"
"""The device of everything that was stored past synchronization, in one act that knew of all before it."""
MAX_EDITS = 500
MAX_NUMBER = 1_000_000
MAX_DEVICES = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

AnyDevice = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Number = Annotated[int, Field(ge=1, le=MAX_NUMBER)]


class DeviceEdit(Frozen):
    """One edit of one preference, made on a device, perhaps offline."""

    number: Number = Field(description="The device's own count of its edits of this scope, from 1; never reused.")
    seen: dict[AnyDevice, Number] = Field(
        default_factory=dict,
        max_length=MAX_DEVICES + 1,
        description="The `seen` of the scope in the last answer the device had; absent before the first.",
    )
    at: Moment = Field(description="The device's clock; it decides only between values that forbid nothing.")
    by_recipient: bool = Field(
        default=True, description="False for a default or a restored backup: it may deny, and lifts no denial."
    )
    scope: Scope = Scope()
    value: PreferenceValue | None = Field(default=None, description="Null says nothing any more for the scope.")
    priority: int = Field(default=0, ge=-100, le=100)
    expires_at: Moment | None = None

    @property
    def denies(self) -> bool:
        """True when it forbids, hours that never come included."""
        if self.value is None:
            return False
        windows = self.value.windows
        return self.value.is_denial or (windows is not None and not any(windows.values()))

    def preference(self, device: str) -> Preference | None:
        """Return the preference it asks for; None for none."""
        if self.value is None:
            return None
        return Preference(
            scope=self.scope,
            value=self.value,
            priority=self.priority,
            expires_at=self.expires_at,
            source=f"device:{device}",
        )

    def as_edit(self, device: str) -> Edit:
        """Return what decides whether it holds."""
        content = self.model_dump(mode="json", include={"value", "priority", "expires_at"})
        return Edit(
            device=device,
            number=self.number,
            seen=tuple(sorted(self.seen.items())),
            denies=self.denies,
            is_act=self.by_recipient,
            at=(self.at - _EPOCH) // timedelta(microseconds=1),
            value=json.dumps(content, sort_keys=True, separators=(",", ":")),
        )


class DeviceEdits(Frozen):
    """What a device has to say, in any order; what it said before may be among it."""

    device: AnyDevice = Field(description="A name the recipient's device keeps for ever and shares with no other.")
    edits: tuple[DeviceEdit, ...] = Field(default=(), max_length=MAX_EDITS)
    scopes: tuple[Scope, ...] = Field(
        default=(), max_length=MAX_PREFERENCES, description="More scopes whose state the device wants to be told."
    )

    @field_validator("device")
    @classmethod
    def _is_no_server(cls, given: str) -> str:
        if given == SERVER:
            raise ValueError(f"must not be {SERVER}: that is the service's own name")
        return given

    @field_validator("edits")
    @classmethod
    def _know_no_later_ones(cls, given: tuple[DeviceEdit, ...], info: ValidationInfo) -> tuple[DeviceEdit, ...]:
        for position, each in enumerate(given):
            if each.seen.get(info.data.get("device", ""), 0) >= each.number:
                raise ValueError(f"must have seen only earlier edits of the device itself; {position} has not")
        return given


class Verdict(StrEnum):
    """What became of an edit."""

    HOLDS = "holds"
    OVERRULED = "overruled"
    SUPERSEDED = "superseded"
    NUMBER_REUSED = "number_reused"
    SEEN_UNKNOWN = "seen_unknown"
    NOT_ALLOWED = "not_allowed"
    TOO_MANY = "too_many"

    @property
    def is_refusal(self) -> bool:
        """True when the edit was not taken in; the device must make another."""
        return self not in (Verdict.HOLDS, Verdict.OVERRULED, Verdict.SUPERSEDED)


def refusal(edit: Edit, known: Mapping[str, int], *, twin: Edit | None) -> Verdict | None:
    """Return why an edit cannot be taken in, or None.

    Args:
        edit: as it was sent.
        known: up to which number all edits of each device arrived for the scope, before this request.
        twin: the edit that was taken in before under the same device and number, if any.
    """
    if twin is not None:
        return None if twin == edit else Verdict.NUMBER_REUSED
    others = (pair for pair in edit.seen if pair[0] != edit.device)
    # Nobody can have seen what has not arrived: such a claim would supersede denials that are yet to be made.
    if any(number > known.get(device, 0) for device, number in others):
        return Verdict.SEEN_UNKNOWN
    return None


def verdict(edit: Edit, field: preference_sync.Field) -> Verdict:
    """Return what became of an edit that was taken in, after all that arrived."""
    if preference_sync.standing(field) == edit:
        return Verdict.HOLDS
    return Verdict.OVERRULED if edit in field.edits else Verdict.SUPERSEDED


class Gap(Frozen):
    """Numbers that never arrived, both ends included."""

    first: int
    last: int


def gaps(numbers: Iterable[int]) -> tuple[int, list[Gap]]:
    """Return up to which number all arrived (0 for none), and what is missing below the highest that did."""
    missing, before = [], 0
    for number in sorted(set(numbers)):
        if number > before + 1:
            missing.append(Gap(first=before + 1, last=number - 1))
        before = number
    return (missing[0].first - 1 if missing else before), missing
