"""``POST /v1/sms/inbound``: what a recipient texted back; a keyword revokes the consent, one text may confirm it."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import Field, StringConstraints, model_validator

from adapters import legal_rule_files
from adapters.postgres.suppressed_addresses import Listing
from domain.addresses import MAX_ADDRESS, BadAddress
from domain.consent import ConsentChange, ConsentStatus
from domain.events import Identifier
from domain.legal.keywords import CONFIRMATION_WINDOW, revocation
from domain.suppression import SuppressionCause
from domain.values import ANY_CHANNEL, Channel, Frozen, Moment, Purpose
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import FieldError, ProblemCode, Refused
from serving.http.rate_limit import never_limited
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, tags=["recipients"])
KEYWORDS = "tcpa.keywords"
CONFIRMATION = "You are unsubscribed and will receive no further marketing messages."
SOURCE = "sms_keyword"


class InboundText(Frozen):
    """A text message from a recipient, who is named by id or by number."""

    recipient_id: Identifier | None = None
    address: Annotated[str, StringConstraints(min_length=1, max_length=MAX_ADDRESS)] | None = None
    text: Annotated[str, StringConstraints(max_length=2_000)]
    received_at: Moment | None = Field(default=None, description="When the text arrived; absent: now.")

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if (self.recipient_id is None) == (self.address is None):
            raise ValueError("must name recipient_id or address, and not both")
        return self


class Confirmation(Frozen):
    """The one text that may confirm a revocation."""

    text: str
    send_by: Moment


class InboundAnswer(Frozen):
    """What the text meant."""

    is_opt_out: bool
    keyword: str | None
    confirmation: Confirmation | None = Field(description="Null when nothing was revoked, or when it is too late.")


@router.post("/v1/sms/inbound", summary="Hand in a text a recipient sent")
@never_limited
def post_inbound(
    caller: Annotated[Caller, permission("consents:write")],
    body: Annotated[InboundText, body_of(InboundText)],
    parts: PartsOf,
) -> InboundAnswer:
    """Withdraw marketing when the text holds a keyword, effective with the answer.

    By default every channel is revoked; `KAIROS_SMS_OPT_OUT_SCOPE=sms` narrows it to text messages. A number nobody is
    known by goes on the suppression list. A repeat changes nothing and brings no second confirmation.
    """
    rule = legal_rule_files.load(parts.settings.legal_rules).rule(KEYWORDS)
    keyword = revocation(body.text, rule.keywords) if rule is not None else None
    if keyword is None:
        return InboundAnswer(is_opt_out=False, keyword=None, confirmation=None)
    now = parts.clock.now(caller.tenant)
    is_new = _revoke(parts, caller, body, keyword, now)
    send_by = (body.received_at or now) + CONFIRMATION_WINDOW
    confirmation = Confirmation(text=CONFIRMATION, send_by=send_by) if is_new and now <= send_by else None
    return InboundAnswer(is_opt_out=True, keyword=keyword, confirmation=confirmation)


def _revoke(parts: PartsOf, caller: Caller, body: InboundText, keyword: str, now: datetime) -> bool:
    """Withdraw for everybody the text may come from and return whether anything was left to withdraw."""
    change = ConsentChange(
        purpose=Purpose.MARKETING,
        channel=ANY_CHANNEL if parts.settings.sms_opt_out_scope == "all" else Channel.SMS,
        status=ConsentStatus.WITHDRAWN,
        source=SOURCE,
        proof={"keyword": keyword, "received_at": (body.received_at or now).isoformat()},
    )
    withdrawn = [
        parts.consents.withdraw_once(caller.tenant, who, change, actor=caller.actor, now=now)
        for who in _senders(parts, caller, body)
    ]
    return any(withdrawn) or (not withdrawn and _list(parts, caller, str(body.address), now))


def _senders(parts: PartsOf, caller: Caller, body: InboundText) -> list[str]:
    if body.recipient_id is not None:
        return [body.recipient_id]
    try:
        return parts.suppressed_addresses.owners(caller.tenant, Channel.SMS, str(body.address))
    except BadAddress as error:
        problem = FieldError(field="address", expected=str(error))
        raise Refused(ProblemCode.INVALID, "This is no telephone number.", errors=[problem]) from None


def _list(parts: PartsOf, caller: Caller, address: str, now: datetime) -> bool:
    listing = Listing(Channel.SMS, address, SuppressionCause.OPTED_OUT, now)
    return parts.suppressed_addresses.add_many(caller.tenant, [listing], source=SOURCE, actor=caller.actor) == 1
