"""Consents and channel switches of a recipient: said with one request, effective when it is answered.

To withdraw takes less than to grant: an empty object is enough.
"""

from typing import Annotated

from fastapi import APIRouter

from domain.consent import ChannelScope, ConsentChange, ConsentState, ConsentStatus, Text
from domain.consent_records import ConsentRecord
from domain.events import FUTURE_TOLERANCE
from domain.suppression import Suppression
from domain.switches import ChannelSwitch
from domain.values import ANY_CHANNEL, Frozen, Purpose
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import FieldError, ProblemCode, Refused
from serving.http.opt_out_signal import Signal, SignalOf
from serving.http.rate_limit import never_limited
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, prefix=PREFIX, tags=["recipients"])
Reader = Annotated[Caller, permission("consents:read")]
Writer = Annotated[Caller, permission("consents:write")]
SOURCE = "api"


class Withdrawal(Frozen):
    """What is withdrawn; with nothing said, marketing on every channel."""

    purpose: Purpose = Purpose.MARKETING
    channel: ChannelScope = ANY_CHANNEL
    source: Text = SOURCE


class SwitchPosition(Frozen):
    """Whether a channel may be used."""

    is_on: bool
    source: Text = SOURCE


class Standing(Frozen):
    """What holds after a change."""

    consents: tuple[ConsentState, ...]


class Disclosure(Frozen):
    """Everything a recipient allows, how often that changed, and what was recorded about it."""

    version: int
    consents: tuple[ConsentState, ...]
    switches: tuple[ChannelSwitch, ...]
    suppressions: tuple[Suppression, ...]
    history: list[ConsentRecord]


@router.get("/consents", summary="Read what a recipient allows")
def get_consents(caller: Reader, recipient_id: RecipientId, parts: PartsOf) -> Disclosure:
    """Return consents, channel switches and suppressions as they stand, and every consent record, oldest first."""
    allowed, history = parts.consents.disclose(caller.tenant, recipient_id, actor=caller.actor)
    return Disclosure(
        version=allowed.version,
        consents=allowed.consents,
        switches=allowed.switches,
        suppressions=allowed.suppressions,
        history=[ConsentRecord.model_validate(row) for row in history],
    )


@router.post("/consents", summary="Record a consent, a refusal or a withdrawal")
@never_limited
def post_consent(
    caller: Writer,
    recipient_id: RecipientId,
    body: Annotated[ConsentChange, body_of(ConsentChange)],
    parts: PartsOf,
    signal: SignalOf,
) -> Standing:
    """Record what the recipient said, with its proof, and return what holds now.

    A denial wins over every grant that is not later, and for one channel over any grant for all of them.
    """
    return _record(parts, caller, recipient_id, body, signal)


@router.post("/consents/withdraw", summary="Withdraw a consent")
@never_limited
def withdraw_consent(
    caller: Writer,
    recipient_id: RecipientId,
    body: Annotated[Withdrawal, body_of(Withdrawal)],
    parts: PartsOf,
    signal: SignalOf,
) -> Standing:
    """Withdraw; `{}` withdraws marketing on every channel. No decision that is recorded after this sends against it."""
    change = ConsentChange(
        purpose=body.purpose, channel=body.channel, status=ConsentStatus.WITHDRAWN, source=body.source
    )
    return _record(parts, caller, recipient_id, change, signal)


@router.put("/channels/{channel}", summary="Switch a channel on or off")
@never_limited
def put_channel(
    caller: Writer,
    recipient_id: RecipientId,
    channel: ChannelScope,
    body: Annotated[SwitchPosition, body_of(SwitchPosition)],
    parts: PartsOf,
    signal: SignalOf,
) -> ChannelSwitch:
    """Switch one channel, or `*` for all of them; off for all beats on for one."""
    switch = ChannelSwitch(channel=channel, is_on=body.is_on)
    parts.consents.switch(caller.tenant, recipient_id, switch, actor=caller.actor, source=body.source)
    signal.heed(caller, recipient_id)
    return switch


def _record(parts: PartsOf, caller: Caller, recipient_id: str, change: ConsentChange, signal: Signal) -> Standing:
    now = parts.clock.now(caller.tenant)
    if change.effective_at is not None and change.effective_at > now + FUTURE_TOLERANCE:
        problem = FieldError(field="effective_at", expected="a moment that does not lie in the future")
        raise Refused(ProblemCode.INVALID, "What was not said yet cannot be recorded.", errors=[problem])
    states = parts.consents.record(caller.tenant, recipient_id, [change], actor=caller.actor, now=now)
    if signal.heed(caller, recipient_id):
        states = parts.consents.allowances(caller.tenant, recipient_id).consents
    return Standing(consents=states)
