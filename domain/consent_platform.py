"""The port for a consent platform of others: what its records must hold before they count here.

A consent given counts only with its full proof; whatever takes one away counts however little it says.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Protocol

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from domain.consent import ChannelScope, ConsentChange, ConsentStatus, LegalBasis, SaidStatus, Text
from domain.events import FUTURE_TOLERANCE, Identifier
from domain.values import ANY_CHANNEL, Frozen, Moment, Purpose

Address = Annotated[str, StringConstraints(min_length=1, max_length=320)]
_DENIALS = {
    "withdrawn": ConsentStatus.WITHDRAWN,
    "revoked": ConsentStatus.WITHDRAWN,
    "opted_out": ConsentStatus.WITHDRAWN,
    "refused": ConsentStatus.REFUSED,
    "denied": ConsentStatus.REFUSED,
    "rejected": ConsentStatus.REFUSED,
    "expired": ConsentStatus.EXPIRED,
}
"""Words with which a record takes a consent away."""


class ConsentPlatform(Protocol):
    """Where consents come from that were said elsewhere; how it is reached is the adapter's own affair."""

    @property
    def name(self) -> str:
        """A short name for proofs: ``[a-z][a-z0-9_.-]*``."""

    def records(self) -> Iterable[Mapping[str, Any]]:
        """Yield what it recorded, in any order and as often as it likes; see ``PlatformRecord``."""


class PlatformRecord(Frozen):
    """One record of a platform, as it has to be for a consent given or requested."""

    record_id: Text = Field(description="The platform's own id of it.")
    recipient_id: Identifier
    purpose: Purpose
    channel: ChannelScope = ANY_CHANNEL
    status: SaidStatus
    effective_at: Moment | None = Field(default=None, description="When the person said it.")
    expires_at: Moment | None = None
    legal_basis: LegalBasis = LegalBasis.CONSENT
    text_version: Text | None = Field(default=None, description="Version of the text the person saw.")
    source: Text | None = Field(default=None, description="Where it was said.")
    actor: Text | None = Field(default=None, description="Who or what recorded it there.")
    address: Address | None = Field(default=None, description="Where it was said from; a keyed hash of it is kept.")


FULL_PROOF = ("effective_at", "text_version", "source", "actor", "address")


@dataclass(frozen=True)
class Refused:
    """A record that does not count, and why: a field and what was expected there, never the value."""

    field: str
    expected: str


@dataclass(frozen=True)
class Admitted:
    """What a record says about one recipient."""

    recipient_id: str
    changes: tuple[ConsentChange, ...]


def admitted(raw: Mapping[str, Any], *, platform: str, now: datetime) -> Admitted | Refused:
    """Return what a record changes, or why it does not count.

    Args:
        raw: as the platform gives it, JSON values.
        platform: its name, for the proof.
        now: the tenant's clock.
    """
    said = raw.get("status")
    denial = _DENIALS.get(said.strip().lower()) if isinstance(said, str) else None
    return _denied(raw, denial, platform, now) if denial is not None else _said(raw, platform, now)


def _denied(raw: Mapping[str, Any], status: ConsentStatus, platform: str, now: datetime) -> Admitted | Refused:
    """Read what can be read; what cannot is taken in the widest sense: every purpose, every channel, now."""
    recipient = _read(Identifier, raw.get("recipient_id"))
    if recipient is None:
        return Refused("recipient_id", "the id of a recipient, 1 to 200 printable characters")
    purpose = _read(Purpose, raw.get("purpose"))
    moment = _read(Moment, raw.get("effective_at"))
    changes = tuple(
        ConsentChange(
            purpose=each,
            channel=_read(ChannelScope, raw.get("channel")) or ANY_CHANNEL,
            status=status,
            effective_at=moment if moment is not None and moment <= now else None,
            source=_source(platform),
            text_version=_read(Text, raw.get("text_version")),
            proof=_proof(platform, raw),
            address=_read(Address, raw.get("address")),
        )
        for each in ([purpose] if purpose is not None else Purpose)
    )
    return Admitted(recipient, changes)


def _said(raw: Mapping[str, Any], platform: str, now: datetime) -> Admitted | Refused:
    try:
        record = PlatformRecord.model_validate(dict(raw))
        missing = [name for name in FULL_PROOF if getattr(record, name) is None]
        if record.status is ConsentStatus.GIVEN and missing:
            return Refused(missing[0], f"a consent given with its full proof: {', '.join(FULL_PROOF)}")
        if record.effective_at is not None and record.effective_at > now + FUTURE_TOLERANCE:
            return Refused("effective_at", "a moment that does not lie in the future")
        change = ConsentChange(
            purpose=record.purpose,
            channel=record.channel,
            status=record.status,
            effective_at=record.effective_at,
            expires_at=record.expires_at,
            legal_basis=record.legal_basis,
            source=_source(platform),
            text_version=record.text_version,
            proof=_proof(platform, raw),
            address=record.address,
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return Refused(str(first["loc"][0]) if first["loc"] else "", first["msg"].removeprefix("Value error, "))
    return Admitted(record.recipient_id, (change,))


def _source(platform: str) -> str:
    return f"platform:{platform}"


def _proof(platform: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: _read(Text, raw.get(name)) for name in ("record_id", "source", "actor")}
    return {"platform": platform} | {name: value for name, value in told.items() if value is not None}


def _read(kind: Any, value: Any) -> Any:
    """Return a value of the kind, or None when it is none."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return None
