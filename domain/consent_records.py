"""Consent records as they are kept, and what a proof must hold."""

from datetime import datetime

from pydantic import JsonValue

from domain.consent import ChannelScope, ConsentState, ConsentStatus, LegalBasis
from domain.values import Frozen, Purpose

PROOF = ("text_version", "effective_at", "source", "actor", "address_hash")
"""What proves a consent (GDPR Art. 7(1)): the text that was seen, when, where, recorded by whom, said from where."""
LEAST_PROOF = ("text_version", "effective_at", "source", "actor")
"""What a consent cannot be shown without: who said it is known by the recipient's id as well."""


class ConsentRecord(Frozen):
    """One consent record as it is kept."""

    record_id: int
    purpose: Purpose
    channel: ChannelScope
    status: ConsentStatus
    legal_basis: LegalBasis
    effective_at: datetime
    expires_at: datetime | None
    source: str
    actor: str
    text_version: str | None
    address_hash: str | None = None
    proof: dict[str, JsonValue]
    recorded_at: datetime

    @property
    def state(self) -> ConsentState:
        """What the record alone stands for."""
        return ConsentState(
            purpose=self.purpose,
            channel=self.channel,
            status=self.status,
            effective_at=self.effective_at,
            expires_at=self.expires_at,
        )

    def missing(self, wanted: tuple[str, ...] = PROOF) -> tuple[str, ...]:
        """Return the parts of the proof that are not there."""
        return tuple(name for name in wanted if not getattr(self, name))
