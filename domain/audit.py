"""The chain of the audit trail: each row's digest is linked to all before it, so no row can change unseen.

A link is the SHA-256 of the link before, the row's place and the digest of its canonical JSON. Reading a chain tells
the first row that is not as it was linked, and what happened to it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

LATEST_ARRIVAL = timedelta(hours=1)
"""Longest time between a row's moment and its link while the chain moves on; a transaction is never that long."""


class Tampering(StrEnum):
    """What was done to a row."""

    EDITED = "edited"
    DELETED = "deleted"
    INSERTED = "inserted"
    RELINKED = "relinked"
    UNLINKED = "unlinked"
    CUT = "cut"
    REWRITTEN = "rewritten"
    FORGED = "forged"


_SENTENCE = {
    Tampering.EDITED: "the row is not what was linked",
    Tampering.DELETED: "the row is gone, its link is there",
    Tampering.INSERTED: "the row says it is old but was not there when younger ones were linked",
    Tampering.RELINKED: "the link does not follow from the row and the link before",
    Tampering.UNLINKED: "links are missing before this one",
    Tampering.CUT: "the chain ends before its last signed checkpoint",
    Tampering.REWRITTEN: "the chain is not the one that was signed here",
    Tampering.FORGED: "a checkpoint is not ours, or one before it is gone",
}


@dataclass(frozen=True)
class Finding:
    """The first bad row: its place in the chain, its number (None when only a link or a checkpoint tells of it)."""

    kind: Tampering
    sequence: int | None
    audit_id: int | None

    @property
    def sentence(self) -> str:
        """What is wrong, for a person."""
        return _SENTENCE[self.kind]


@dataclass(frozen=True)
class Link:
    """One link as it is stored, with its row as it is now, None when that is gone."""

    sequence: int
    audit_id: int
    digest: bytes
    link: bytes
    row: Mapping[str, Any] | None


@dataclass(frozen=True)
class Head:
    """The end of a chain: how many rows it holds, and the last link."""

    size: int
    link: bytes


def canonical(row: Mapping[str, Any]) -> bytes:
    """Return a row as the one JSON text that stands for it: keys in order, UTC to the microsecond, bytes in hex."""
    return json.dumps(
        {name: _plain(value) for name, value in row.items()},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    ).encode()


def digest(row: Mapping[str, Any]) -> bytes:
    """Return the SHA-256 of a row's canonical JSON."""
    return hashlib.sha256(canonical(row)).digest()


def genesis(tenant: str) -> Head:
    """Return the end of a tenant's empty chain; no two tenants begin alike."""
    return Head(0, hashlib.sha256(f"kairos.audit/{tenant}".encode()).digest())


def extended(head: Head, row_digest: bytes) -> Head:
    """Return the end of the chain after one more row."""
    size = head.size + 1
    return Head(size, hashlib.sha256(head.link + size.to_bytes(8, "big") + row_digest).digest())


@dataclass
class ChainReader:
    """Follows a chain link by link and stops at the first that does not hold."""

    head: Head
    signed: Mapping[int, bytes] = field(default_factory=dict)
    """The signed head of each size there is a checkpoint of."""
    youngest: datetime | None = None
    """The latest moment of any row read so far."""

    def read(self, links: Iterable[Link]) -> Finding | None:
        """Read links in order; returns the first fault, or None."""
        for each in links:
            kind = self._fault(each)
            if kind is not None:
                return Finding(kind, each.sequence, each.audit_id)
            self._advance(each)
        return None

    def is_too_late(self, recorded_at: datetime) -> bool:
        """Return whether a row that is linked now claims a moment that lies too far behind others."""
        return self.youngest is not None and recorded_at < self.youngest - LATEST_ARRIVAL

    def _fault(self, each: Link) -> Tampering | None:
        if each.sequence != self.head.size + 1:
            return Tampering.UNLINKED
        if each.row is None:
            return Tampering.DELETED
        if digest(each.row) != each.digest:
            return Tampering.EDITED
        if extended(self.head, each.digest).link != each.link:
            return Tampering.RELINKED
        if self.signed.get(each.sequence, each.link) != each.link:
            return Tampering.REWRITTEN
        return Tampering.INSERTED if self.is_too_late(each.row["recorded_at"]) else None

    def _advance(self, each: Link) -> None:
        self.head = Head(each.sequence, each.link)
        if each.row is not None:
            moment = each.row["recorded_at"]
            self.youngest = moment if self.youngest is None else max(self.youngest, moment)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return value
