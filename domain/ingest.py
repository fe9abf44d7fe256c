"""From what somebody sent to what is stored: one verdict for every item, and its place in local time.

An item is an event or a rejection that names the field and what was expected, never the refused value. The same
parse serves a request and a file.
"""

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from domain import faults, strict_json
from domain.events import MAX_EVENT_BYTES, EngagementEvent, digest_of, untimely
from domain.strict_json import StrictJsonError
from domain.tenants import zone_names
from domain.values import Frozen


class Verdict(StrEnum):
    """What became of one item; every item of a batch has exactly one."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REJECTED = "rejected"

    @property
    def is_dead(self) -> bool:
        """True when the item is kept as a dead letter instead of an event."""
        return self in (Verdict.CONFLICT, Verdict.REJECTED)


class RejectionCode(StrEnum):
    """Why an item is a dead letter; closed, so that dead letters can be counted and replayed by cause."""

    NOT_JSON = "event.not_json"
    NOT_AN_OBJECT = "event.not_an_object"
    TOO_LARGE = "event.too_large"
    FIELD_MISSING = "event.field_missing"
    FIELD_UNKNOWN = "event.field_unknown"
    FIELD_INVALID = "event.field_invalid"
    UNTIMELY = "event.untimely"
    CONFLICT = "event.conflict"
    UNMAPPED = "event.unmapped"


class Rejection(Frozen):
    """Why one item was refused."""

    code: RejectionCode
    field: str | None
    expected: str


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a request or a file: the event it is, or why it is none."""

    position: int
    raw: bytes
    event: EngagementEvent | None
    rejection: Rejection | None = None

    @classmethod
    def rejected(cls, position: int, raw: bytes, code: RejectionCode, field: str | None, expected: str) -> "Item":
        """Return an item that is no event."""
        return cls(position, raw, None, Rejection(code=code, field=field, expected=expected))


@dataclass(frozen=True, slots=True)
class ItemVerdict:
    """The answer for one item, in the order the items were given."""

    position: int
    verdict: Verdict
    rejection: Rejection | None = None


class Counts(Frozen):
    """How many items were received and what became of them."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    dead: int = 0

    @property
    def imbalance(self) -> int:
        """Items unaccounted for; anything but 0 means that something was lost."""
        return self.received - self.stored - self.duplicate - self.dead

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            received=self.received + other.received,
            stored=self.stored + other.stored,
            duplicate=self.duplicate + other.duplicate,
            dead=self.dead + other.dead,
        )

    @classmethod
    def of(cls, verdicts: Sequence[ItemVerdict]) -> "Counts":
        """Count the verdicts of one batch."""
        given = [item.verdict for item in verdicts]
        return cls(
            received=len(given),
            stored=given.count(Verdict.STORED),
            duplicate=given.count(Verdict.DUPLICATE),
            dead=sum(verdict.is_dead for verdict in given),
        )


def read(raw: bytes, position: int, *, max_bytes: int = MAX_EVENT_BYTES) -> Item:
    """Read one item from its own bytes, such as a line of a file.

    Args:
        raw: JSON text; kept as it is when the item becomes a dead letter.
        position: where the item stands, from 0 in a request, from 1 in a file.
        max_bytes: largest item accepted.
    """
    if len(raw) > max_bytes:
        return _too_large(raw, position, max_bytes)
    try:
        value = strict_json.loads(raw, max_bytes=max_bytes)
    except StrictJsonError as error:
        return Item.rejected(position, raw, RejectionCode.NOT_JSON, error.place or None, error.expected)
    return _parsed(value, raw, position)


def parse(value: Any, position: int, *, max_bytes: int = MAX_EVENT_BYTES) -> Item:
    """Read one item that the strict reader already took out of a larger document; its size is that of compact JSON."""
    raw = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return _too_large(raw, position, max_bytes) if len(raw) > max_bytes else _parsed(value, raw, position)


def _too_large(raw: bytes, position: int, max_bytes: int) -> Item:
    return Item.rejected(position, raw, RejectionCode.TOO_LARGE, None, f"at most {max_bytes} bytes of JSON")


def _parsed(value: Any, raw: bytes, position: int) -> Item:
    if not isinstance(value, dict):
        return Item.rejected(position, raw, RejectionCode.NOT_AN_OBJECT, None, "an object with the fields of an event")
    try:
        # From text, because only there does strictness still read enums and moments.
        return Item(position, raw, EngagementEvent.model_validate_json(raw, strict=True))
    except ValidationError as error:
        return Item(position, raw, None, _rejection(error))


_CODES = {"missing": RejectionCode.FIELD_MISSING, "extra_forbidden": RejectionCode.FIELD_UNKNOWN}


def _rejection(error: ValidationError) -> Rejection:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    expected = faults.expected(first)
    # A rule over several fields has no place of its own; its message begins with the field to change.
    field = faults.field(first) or expected.split(" ", 1)[0]
    return Rejection(code=_CODES.get(first["type"], RejectionCode.FIELD_INVALID), field=field, expected=expected)


def timely(item: Item, *, now: datetime, max_age: timedelta) -> Item:
    """Return the item, or its rejection when the event lies too far in the future or the past of the tenant."""
    because = untimely(item.event, now=now, max_age=max_age) if item.event is not None else None
    if because is None:
        return item
    return Item.rejected(item.position, item.raw, RejectionCode.UNTIMELY, "occurred_at", because)


CONFLICT = Rejection(
    code=RejectionCode.CONFLICT, field="event_id", expected="the same content as the event already stored under this id"
)


Key = tuple[str, str]
"""Source and id of an event: what makes it the same event, within one tenant."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An event that wants to be stored, with the text that says what it is."""

    event: EngagementEvent
    text: str
    digest: bytes

    @classmethod
    def of(cls, event: EngagementEvent) -> "Claim":
        """Return the claim of an event."""
        text = event.canonical_json()
        return cls(event, text, digest_of(text))

    @property
    def key(self) -> Key:
        """Which event it is."""
        return self.event.source, self.event.event_id


class Batch:
    """Items that are stored together; which of them are new is settled by the store."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self._claims = [Claim.of(item.event) if item.event is not None else None for item in items]
        self.firsts: dict[Key, Claim] = {}
        for claim in self._claims:
            if claim is not None:
                self.firsts.setdefault(claim.key, claim)

    def judge(self, new: AbstractSet[Key], known: Mapping[Key, bytes]) -> list[ItemVerdict]:
        """Return the verdict of each item, in the order given.

        Args:
            new: the keys this batch was the first to claim, for the first item that has them.
            known: the digests of all other keys of the batch, as stored before.
        """
        winning = {key: self.firsts[key].digest for key in new} | dict(known)
        unused = set(new)
        return [_verdict(item, claim, winning, unused) for item, claim in zip(self._items, self._claims, strict=True)]


def _verdict(item: Item, claim: Claim | None, winning: Mapping[Key, bytes], unused: set[Key]) -> ItemVerdict:
    if claim is None:
        return ItemVerdict(position=item.position, verdict=Verdict.REJECTED, rejection=item.rejection)
    if winning[claim.key] != claim.digest:
        return ItemVerdict(position=item.position, verdict=Verdict.CONFLICT, rejection=CONFLICT)
    verdict = Verdict.STORED if claim.key in unused else Verdict.DUPLICATE
    unused.discard(claim.key)
    return ItemVerdict(position=item.position, verdict=verdict)


def local_time(moment: datetime, zone: ZoneInfo) -> tuple[int, date]:
    """Return the hour of the week (0 is Monday 00:00-00:59) and the date where ``zone`` is."""
    local = moment.astimezone(zone)
    return 24 * local.weekday() + local.hour, local.date()


def zone(name: str) -> ZoneInfo | None:
    """Return the time zone of that name, or None when there is none."""
    # Membership first: the name is a sender's, ZoneInfo would look for a file of that name and a cache would keep it.
    return _loaded(name) if name in zone_names() else None


_loaded = cache(ZoneInfo)
