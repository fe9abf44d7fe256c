"""Consent: may this recipient's data be used for this purpose, on this channel, now?

Checked before features are read or scores computed. Fails closed: no record means no, and a denial wins every
tie. A denial counts from the moment it is known, so no clock that lags behind can send past it; a grant counts
from ``effective_at`` (inclusive) to ``expires_at`` (exclusive).

Terms follow ISO/IEC TS 27560:2023 (consent record); withdrawal takes effect at once (GDPR Art. 7(3)).
"""

import hashlib
import hmac
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, StringConstraints, model_validator

from domain.values import ANY_CHANNEL, Channel, Frozen, Moment, Purpose, Reason

ChannelScope = Channel | Literal["*"]
"""One channel, or ``*`` for every channel."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ConsentStatus(StrEnum):
    """Where a consent stands (ISO/IEC TS 27560, consent states that a recipient can cause)."""

    REQUESTED = "requested"
    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"

    @property
    def is_denial(self) -> bool:
        """True when the status forbids, whatever was given before."""
        return self in _DENIALS


_DENIALS = frozenset({ConsentStatus.REFUSED, ConsentStatus.WITHDRAWN, ConsentStatus.EXPIRED})

_REASON = {
    ConsentStatus.REFUSED: Reason.CONSENT_REFUSED,
    ConsentStatus.WITHDRAWN: Reason.CONSENT_WITHDRAWN,
    ConsentStatus.EXPIRED: Reason.CONSENT_EXPIRED,
}


_OTHER_WORDS = {"pending": ConsentStatus.REQUESTED, "granted": ConsentStatus.GIVEN}


def _in_our_words(status: Any) -> Any:
    return _OTHER_WORDS.get(status, status) if isinstance(status, str) else status


SaidStatus = Annotated[ConsentStatus, BeforeValidator(_in_our_words)]
"""A status as others may say it: ``pending`` counts as requested, ``granted`` as given."""


class LegalBasis(StrEnum):
    """Why processing is lawful (GDPR Art. 6(1) a-f)."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTERESTS = "vital_interests"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"


class ConsentState(Frozen):
    """Where one recipient's consent for one purpose and scope stands: the outcome of all its records."""

    purpose: Purpose
    channel: ChannelScope
    status: ConsentStatus
    effective_at: Moment
    expires_at: Moment | None = None


class ConsentChange(Frozen):
    """One consent record to be kept for ever: what the recipient said, when, and what proves it."""

    purpose: Purpose
    channel: ChannelScope = ANY_CHANNEL
    status: SaidStatus = Field(description="`pending` counts as requested, `granted` as given.")
    effective_at: Moment | None = Field(default=None, description="Absent: the moment it is recorded.")
    expires_at: Moment | None = None
    legal_basis: LegalBasis = LegalBasis.CONSENT
    source: Text = Field(description="Where it was said, such as web_form or preference_page.")
    text_version: Text | None = Field(default=None, description="Version of the text the recipient saw.")
    proof: dict[Annotated[str, StringConstraints(min_length=1, max_length=100)], JsonValue] = Field(
        default_factory=dict, max_length=32
    )
    address: Annotated[str, StringConstraints(min_length=1, max_length=320)] | None = Field(
        default=None,
        exclude=True,
        description="Where they said it from, such as an IP or e-mail address; a keyed hash of it is kept.",
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.expires_at is not None and self.status is not ConsentStatus.GIVEN:
            raise ValueError("expires_at belongs to status given only")
        if self.expires_at and self.effective_at and self.expires_at <= self.effective_at:
            raise ValueError("expires_at must lie after effective_at")
        return self

    def state(self, now: datetime, known: Iterable[ConsentState] = ()) -> ConsentState:
        """Return the state this change stands for when it is recorded now.

        Args:
            now: nothing is dated ahead of it, but see below.
            known: where the recipient's consents stand. A denial that names no moment is meant against all that was
                said before it, so it is not dated before any of them, even when our clock lags behind theirs.
        """
        effective_at = min(self.effective_at or now, now)
        if self.status.is_denial and self.effective_at is None:
            effective_at = max([now, *(each.effective_at for each in known if each.purpose is self.purpose)])
        return ConsentState(
            purpose=self.purpose,
            channel=self.channel,
            status=self.status,
            effective_at=effective_at,
            expires_at=self.expires_at,
        )


def successor(current: ConsentState | None, new: ConsentState) -> ConsentState:
    """Return the state of one purpose and scope after one more record, in whatever order records arrive.

    The later record wins, and on equal moments the denial. A request never replaces an answer.
    """
    if current is None:
        return new
    return max(current, new, key=_rank)


def _rank(state: ConsentState) -> tuple[bool, datetime, bool, float, str]:
    answered = state.status is not ConsentStatus.REQUESTED
    # Of two grants of one moment the one that ends sooner stays: the order of arrival must not matter.
    soonness = -state.expires_at.timestamp() if state.expires_at else float("-inf")
    return (answered, state.effective_at, state.status.is_denial, soonness, state.status.value)


def refusal(states: Iterable[ConsentState], *, purpose: Purpose, channel: ChannelScope, now: datetime) -> Reason | None:
    """Return why processing is refused, or None when it is permitted.

    A denial for the channel stands until a later grant *for that channel*; a denial for every channel stands
    against each grant that is not later. Among the grants left, the latest decides.
    """
    by_scope = {state.channel: state for state in states if state.purpose is purpose}
    general, specific = by_scope.get(ANY_CHANNEL), by_scope.get(channel)
    if specific is not None and specific.status.is_denial:
        return _REASON[specific.status]
    if general is not None and general.status.is_denial and not _lifts(specific, general):
        return _REASON[general.status]
    return _unmet(_grants((general, specific), now), now)


def _lifts(specific: ConsentState | None, general: ConsentState) -> bool:
    given = specific is not None and specific.status is ConsentStatus.GIVEN
    return given and specific is not None and specific.effective_at > general.effective_at


def _grants(states: Iterable[ConsentState | None], now: datetime) -> list[ConsentState]:
    return [s for s in states if s is not None and s.status is ConsentStatus.GIVEN and s.effective_at <= now]


def _unmet(grants: list[ConsentState], now: datetime) -> Reason | None:
    if not grants:
        return Reason.CONSENT_MISSING
    latest = max(grants, key=_rank)
    expired = latest.expires_at is not None and latest.expires_at <= now
    return Reason.CONSENT_EXPIRED if expired else None


def as_of(states: Iterable[ConsentState], moment: datetime) -> tuple[ConsentState, ...]:
    """Return where every purpose and scope stood at a moment, from a recipient's whole history.

    Args:
        states: one per consent record, in any order.
        moment: a record effective at this very moment counts.
    """
    standing: dict[tuple[Purpose, ChannelScope], ConsentState] = {}
    for state in states:
        if state.effective_at <= moment:
            key = (state.purpose, state.channel)
            standing[key] = successor(standing.get(key), state)
    return tuple(standing.values())


def state_now(state: ConsentState, now: datetime) -> ConsentStatus:
    """Return where a consent stands at a moment: one that was given and has ended is expired."""
    has_ended = state.status is ConsentStatus.GIVEN and state.expires_at is not None and state.expires_at <= now
    return ConsentStatus.EXPIRED if has_ended else state.status


def proof_hash(tenant_secret: bytes, address: str) -> str:
    """Return the keyed hash, 64 hexadecimal digits, of the address a consent came from, in any case."""
    told = unicodedata.normalize("NFKC", address).strip().casefold()
    return hmac.new(tenant_secret, f"consent:{told}".encode(), hashlib.sha256).hexdigest()
