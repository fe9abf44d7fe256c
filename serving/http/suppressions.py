"""``/v1/suppressions``: the list of addresses that are not written to, and which address a recipient has.

An address stands in the body, never in the path: paths are logged. What is kept of it is a keyed hash.
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field, StringConstraints

from adapters.postgres.suppressed_addresses import Listing
from adapters.postgres.suppressions import RecipientsOwn
from domain.addresses import MAX_ADDRESS, BadAddress, KnownAddress
from domain.consent import Text
from domain.suppression import Suppression, SuppressionCause
from domain.values import Channel, Frozen, Moment
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.problem_codes import declared
from serving.http.rate_limit import never_limited
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, tags=["suppressions"])
RECIPIENTS_OWN = declared(
    "suppression.recipients_own", 409, "The recipient said it, and has not consented to marketing there since."
)
Address = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ADDRESS)]
MOST_AT_ONCE = 1_000
SOURCE = "api"


ListedCause = Literal[
    SuppressionCause.BOUNCED,
    SuppressionCause.COMPLAINED,
    SuppressionCause.MANUAL,
    SuppressionCause.OPTED_OUT,
    SuppressionCause.ERASED,
]
"""An objection is a person's, not an address's."""


class ListedAddress(Frozen):
    """An address to put on the list."""

    channel: Channel
    address: Address
    cause: ListedCause = SuppressionCause.MANUAL
    since: Moment | None = Field(default=None, description="Absent: now.")


class AddressQuery(Frozen):
    """An address to look up."""

    channel: Channel
    address: Address


class AddressLift(AddressQuery):
    """An address to take off the list, and why."""

    reason: Text


class ChannelLift(Frozen):
    """Why a suppression is lifted."""

    reason: Text


class SuppressionsAnswer(Frozen):
    """What is suppressed of a recipient, by their own channels and by their addresses."""

    suppressions: tuple[Suppression, ...]


class SuppressionImport(Frozen):
    """Addresses to put on the list together."""

    entries: tuple[ListedAddress, ...] = Field(min_length=1, max_length=MOST_AT_ONCE)


class AddressBody(Frozen):
    """A recipient's address; only its keyed hash is kept."""

    address: Address


class ListingAnswer(Frozen):
    """What became of the addresses."""

    added: int
    known: int = Field(description="Were on the list before.")


class LookupAnswer(Frozen):
    """Whether an address is on the list."""

    is_suppressed: bool
    entry: Suppression | None


class AddressesAnswer(Frozen):
    """The addresses of a recipient."""

    addresses: tuple[KnownAddress, ...]


Reader = Annotated[Caller, permission("suppressions:read")]
Writer = Annotated[Caller, permission("suppressions:write")]
Introducer = Annotated[Caller, permission("profiles:write")]


@router.post("/v1/suppressions", summary="Put an address on the suppression list")
@never_limited
def post_suppression(
    caller: Writer, body: Annotated[ListedAddress, body_of(ListedAddress)], parts: PartsOf
) -> ListingAnswer:
    """Refuse messages to the address from now on, whoever has it and is ever given it.

    `bounced` and `manual` stop every message, `complained`, `opted_out` and `erased` stop marketing.
    """
    return _listed(parts, caller, (body,), "address")


@router.post("/v1/suppressions/import", summary="Put many addresses on the suppression list")
def import_suppressions(
    caller: Writer, body: Annotated[SuppressionImport, body_of(SuppressionImport)], parts: PartsOf
) -> ListingAnswer:
    """Put up to 1,000 addresses on the list, all or nothing; those already on it stay."""
    return _listed(parts, caller, body.entries, "entries")


@router.post("/v1/suppressions/check", summary="Look an address up on the suppression list")
def check_suppression(
    caller: Reader, body: Annotated[AddressQuery, body_of(AddressQuery)], parts: PartsOf
) -> LookupAnswer:
    """Say whether the address is on the list, since when and why."""
    try:
        found = parts.suppressed_addresses.find(caller.tenant, body.channel, body.address)
    except BadAddress as error:
        raise _refused(error, "address") from None
    return LookupAnswer(is_suppressed=found is not None, entry=found)


@router.post("/v1/suppressions/lift", summary="Take an address off the suppression list", responses=problems(404, 409))
def lift_suppression(
    caller: Writer, body: Annotated[AddressLift, body_of(AddressLift)], parts: PartsOf
) -> LookupAnswer:
    """Take the address off the list; the reason is audited. Consents and what recipients switched off stay.

    What its owner said, `complained` or `opted_out`, is lifted only after they have consented to marketing there
    again; `erased` never is.
    """
    try:
        lifted = parts.suppressed_addresses.lift(
            caller.tenant, body.channel, body.address, reason=body.reason, actor=caller.actor
        )
    except BadAddress as error:
        raise _refused(error, "address") from None
    except RecipientsOwn:
        raise _own() from None
    if not lifted:
        raise Refused(ProblemCode.NOT_FOUND, "This address is not on the list.")
    return LookupAnswer(is_suppressed=False, entry=None)


@router.get(PREFIX + "/suppressions", summary="List a recipient's suppressions")
def get_recipient_suppressions(caller: Reader, recipient_id: RecipientId, parts: PartsOf) -> SuppressionsAnswer:
    """Return which channels are suppressed, why and since when; reading it is in the audit trail."""
    found = parts.suppressions.of(caller.tenant, recipient_id, actor=caller.actor)
    return SuppressionsAnswer(suppressions=tuple(found))


@router.post(
    PREFIX + "/suppressions/{channel}/lift",
    status_code=204,
    summary="Lift the suppression of a recipient's channel",
    responses=problems(404, 409),
)
def lift_recipient_suppression(
    caller: Writer,
    recipient_id: RecipientId,
    channel: Channel,
    body: Annotated[ChannelLift, body_of(ChannelLift)],
    parts: PartsOf,
) -> None:
    """Let messages go to the channel again, where nothing else forbids it; the reason is audited.

    A bounce can be lifted; a complaint only after the recipient has consented to marketing there again.
    """
    try:
        lifted = parts.suppressions.lift(caller.tenant, recipient_id, channel, reason=body.reason, actor=caller.actor)
    except RecipientsOwn:
        raise _own() from None
    if not lifted:
        raise Refused(ProblemCode.NOT_FOUND, "Nothing of this recipient is suppressed on this channel.")


@router.get(PREFIX + "/addresses", summary="List a recipient's addresses")
def get_addresses(
    caller: Annotated[Caller, permission("profiles:read")], recipient_id: RecipientId, parts: PartsOf
) -> AddressesAnswer:
    """Return the keyed hash of each address; the addresses themselves are not kept."""
    found = parts.suppressed_addresses.addresses(caller.tenant, recipient_id, actor=caller.actor)
    return AddressesAnswer(addresses=tuple(found))


@router.put(PREFIX + "/addresses/{channel}", summary="Set a recipient's address")
def put_address(
    caller: Introducer,
    recipient_id: RecipientId,
    channel: Channel,
    body: Annotated[AddressBody, body_of(AddressBody)],
    parts: PartsOf,
) -> LookupAnswer:
    """Note the hash of the address, and say whether it is on the suppression list."""
    try:
        parts.suppressed_addresses.set_address(caller.tenant, recipient_id, channel, body.address, actor=caller.actor)
        found = parts.suppressed_addresses.find(caller.tenant, channel, body.address)
    except BadAddress as error:
        raise _refused(error, "address") from None
    return LookupAnswer(is_suppressed=found is not None, entry=found)


@router.delete(
    PREFIX + "/addresses/{channel}", status_code=204, summary="Forget a recipient's address", responses=problems(404)
)
def delete_address(caller: Introducer, recipient_id: RecipientId, channel: Channel, parts: PartsOf) -> None:
    """Forget whose address it is; if it is on the suppression list it stays there."""
    if not parts.suppressed_addresses.drop_address(caller.tenant, recipient_id, channel, actor=caller.actor):
        raise Refused(ProblemCode.NOT_FOUND, "No address of this recipient is known on this channel.")


def _listed(parts: PartsOf, caller: Caller, given: tuple[ListedAddress, ...], field: str) -> ListingAnswer:
    now = parts.clock.now(caller.tenant)
    listings = [Listing(each.channel, each.address, each.cause, _no_later(each.since, now)) for each in given]
    try:
        added = parts.suppressed_addresses.add_many(caller.tenant, listings, source=SOURCE, actor=caller.actor)
    except BadAddress as error:
        raise _refused(error, field) from None
    return ListingAnswer(added=added, known=len(listings) - added)


def _own() -> Refused:
    return Refused(RECIPIENTS_OWN, "The recipient said it, and has not consented to marketing there since.")


def _no_later(since: datetime | None, now: datetime) -> datetime:
    return min(since, now) if since is not None else now


def _refused(error: BadAddress, field: str) -> Refused:
    problem = FieldError(field=field, expected=str(error))
    return Refused(ProblemCode.INVALID, "This is no address of the channel.", errors=[problem])
