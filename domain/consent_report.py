"""What a recipient agreed to, by purpose: allowed or not on each channel, why, until when, and how it is proven."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import Field

from domain import consent
from domain.consent import ChannelScope, ConsentState, ConsentStatus, LegalBasis
from domain.consent_records import ConsentRecord
from domain.purposes import FACTS
from domain.values import Channel, Frozen, Moment, Purpose, Reason


class StandingConsent(Frozen):
    """Where one scope stands."""

    channel: ChannelScope
    status: ConsentStatus = Field(description="At the moment of the report: a consent that has ended is expired.")
    since: Moment
    expires_at: Moment | None
    legal_basis: LegalBasis
    record_id: int = Field(description="The record that holds.")
    missing_proof: tuple[str, ...] = Field(description="Parts of a full proof of a consent given that are not there.")


class PurposeReport(Frozen):
    """One purpose."""

    purpose: Purpose
    meaning: str
    without_consent: str
    permitted: tuple[Channel, ...] = Field(description="Channels on which the data may be used for it now.")
    refused: dict[Channel, Reason] = Field(description="The other channels, each with the reason.")
    standing: tuple[StandingConsent, ...]
    records: int = Field(description="How many records there are about it.")


class ConsentReport(Frozen):
    """Every purpose, whether anything was said about it or not."""

    reported_at: Moment
    purposes: tuple[PurposeReport, ...]


def report(states: Sequence[ConsentState], records: Sequence[ConsentRecord], *, now: datetime) -> ConsentReport:
    """Return the report on one recipient.

    Args:
        states: what holds, as decisions read it.
        records: the whole history, in any order.
        now: the tenant's clock.
    """
    return ConsentReport(
        reported_at=now, purposes=tuple(_purpose(purpose, states, records, now) for purpose in Purpose)
    )


def _purpose(
    purpose: Purpose, states: Sequence[ConsentState], records: Sequence[ConsentRecord], now: datetime
) -> PurposeReport:
    verdicts = {each: consent.refusal(states, purpose=purpose, channel=each, now=now) for each in Channel}
    mine = [each for each in records if each.purpose is purpose]
    return PurposeReport(
        purpose=purpose,
        meaning=FACTS[purpose].meaning,
        without_consent=FACTS[purpose].without_consent,
        permitted=tuple(channel for channel, reason in verdicts.items() if reason is None),
        refused={channel: reason for channel, reason in verdicts.items() if reason is not None},
        standing=tuple(standing(each, mine, now) for each in states if each.purpose is purpose),
        records=len(mine),
    )


def standing(state: ConsentState, records: Iterable[ConsentRecord], now: datetime) -> StandingConsent:
    """Return where one scope stands, with the record behind it.

    Raises:
        LookupError: no record says what the state says.
    """
    behind = next((each for each in records if each.state == state), None)
    if behind is None:
        raise LookupError(f"no record stands behind {state.purpose}:{state.channel}")
    return StandingConsent(
        channel=state.channel,
        status=consent.state_now(state, now),
        since=state.effective_at,
        expires_at=state.expires_at,
        legal_basis=behind.legal_basis,
        record_id=behind.record_id,
        missing_proof=behind.missing() if state.status is ConsentStatus.GIVEN else (),
    )
