"""Consent records in the shape of ISO/IEC TS 27560:2023: header, processing, parties, events.

One document per purpose and channel, with its whole history as events. A consent that has ended by itself gets the
event of its expiry, which nobody wrote down. Only what is known is filled in; what is not known is null.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal

from pydantic import Field, JsonValue

from domain.consent import ChannelScope, ConsentStatus, LegalBasis, state_now, successor
from domain.consent_records import ConsentRecord
from domain.purposes import FACTS, DataCategory
from domain.values import Frozen, Moment, Purpose

SCHEMA_VERSION: Final = "ISO/IEC TS 27560:2023; kairos-1"


class Party(Frozen):
    """Somebody a record speaks of."""

    party_id: str
    party_role: Literal["pii_principal", "pii_controller"]
    party_name: str | None = None


class PurposeOfProcessing(Frozen):
    """What the consent is about."""

    purpose: Purpose
    purpose_description: str
    channel: ChannelScope
    lawful_basis: LegalBasis
    pii_information: tuple[DataCategory, ...] = Field(description="Categories of data that the purpose needs.")
    pii_controllers: tuple[str, ...] = Field(description="Party ids.")
    withdrawal_method: str


class PiiProcessing(Frozen):
    """The processing that was agreed to or not."""

    privacy_notice: str | None = Field(description="Version of the text that was seen last.")
    purposes: tuple[PurposeOfProcessing, ...]


class EventProof(Frozen):
    """What proves an event."""

    text_version: str | None
    source: str
    address_hash: str | None = Field(description="Keyed hash of where it was said from; null where nobody told.")
    evidence: dict[str, JsonValue]
    missing: tuple[str, ...] = Field(description="Parts of a full proof that are not there.")


class ConsentEvent(Frozen):
    """One change of a consent's state."""

    event_time: Moment
    event_type: Literal["recorded", "lapsed"] = Field(description="`lapsed`: it ended on the date it was given until.")
    event_state: ConsentStatus
    validity_duration: timedelta | None = Field(description="How long a consent given lasts; null for no end.")
    entity_id: str = Field(description="Who recorded it.")
    record_id: int | None
    recorded_at: Moment | None
    proof: EventProof | None


class ConsentExport(Frozen):
    """One consent record: a purpose on a channel, where it stands, and how it came there."""

    schema_version: Literal["ISO/IEC TS 27560:2023; kairos-1"] = SCHEMA_VERSION
    record_id: str
    pii_principal_id: str
    state: ConsentStatus = Field(description="At the moment of the export.")
    expires_at: Moment | None
    pii_processing: PiiProcessing
    party_identification: tuple[Party, ...]
    events: tuple[ConsentEvent, ...] = Field(min_length=1, description="By their time, oldest first.")


class ConsentExports(Frozen):
    """Every consent record of a recipient."""

    exported_at: Moment
    records: tuple[ConsentExport, ...]


def export(
    records: Iterable[ConsentRecord], *, recipient_id: str, tenant: str, tenant_name: str, now: datetime
) -> ConsentExports:
    """Return a recipient's consent records in the standard's shape.

    Args:
        records: the whole history, in any order.
        recipient_id: whose they are.
        tenant: the controller's id.
        tenant_name: what people call it.
        now: when it is exported; a consent that has ended by then is expired.
    """
    by_scope: dict[tuple[Purpose, ChannelScope], list[ConsentRecord]] = {}
    for each in records:
        by_scope.setdefault((each.purpose, each.channel), []).append(each)
    parties = (
        Party(party_id=recipient_id, party_role="pii_principal"),
        Party(party_id=tenant, party_role="pii_controller", party_name=tenant_name),
    )
    return ConsentExports(
        exported_at=now,
        records=tuple(_document(by_scope[key], parties, now) for key in sorted(by_scope, key=str)),
    )


def _document(history: list[ConsentRecord], parties: tuple[Party, ...], now: datetime) -> ConsentExport:
    history = sorted(history, key=lambda each: (each.effective_at, each.record_id))
    standing = _standing(history)
    state = state_now(standing.state, now)
    seen = [each.text_version for each in history if each.text_version]
    purpose = PurposeOfProcessing(
        purpose=standing.purpose,
        purpose_description=FACTS[standing.purpose].meaning,
        channel=standing.channel,
        lawful_basis=standing.legal_basis,
        pii_information=FACTS[standing.purpose].categories,
        pii_controllers=(parties[1].party_id,),
        withdrawal_method=f"POST /v1/recipients/{{recipient_id}}/consents/withdraw with purpose {standing.purpose}",
    )
    return ConsentExport(
        record_id=f"{parties[1].party_id}:{history[0].record_id}",
        pii_principal_id=parties[0].party_id,
        state=state,
        expires_at=standing.expires_at,
        pii_processing=PiiProcessing(privacy_notice=seen[-1] if seen else None, purposes=(purpose,)),
        party_identification=parties,
        events=(*map(_event, history), *_lapse(standing, state)),
    )


def _standing(history: list[ConsentRecord]) -> ConsentRecord:
    """Return the record that holds, by the rule of decisions."""
    holds = history[0]
    for each in history[1:]:
        if successor(holds.state, each.state) == each.state:
            holds = each
    return holds


def _event(record: ConsentRecord) -> ConsentEvent:
    until = record.expires_at
    return ConsentEvent(
        event_time=record.effective_at,
        event_type="recorded",
        event_state=record.status,
        validity_duration=until - record.effective_at if until is not None else None,
        entity_id=record.actor,
        record_id=record.record_id,
        recorded_at=record.recorded_at,
        proof=EventProof(
            text_version=record.text_version,
            source=record.source,
            address_hash=record.address_hash,
            evidence=record.proof,
            missing=record.missing() if record.status is ConsentStatus.GIVEN else (),
        ),
    )


def _lapse(standing: ConsentRecord, state: ConsentStatus) -> list[ConsentEvent]:
    if state is not ConsentStatus.EXPIRED or standing.status is not ConsentStatus.GIVEN or standing.expires_at is None:
        return []
    return [
        ConsentEvent(
            event_time=standing.expires_at,
            event_type="lapsed",
            event_state=ConsentStatus.EXPIRED,
            validity_duration=None,
            entity_id="kairos",
            record_id=None,
            recorded_at=None,
            proof=None,
        )
    ]
