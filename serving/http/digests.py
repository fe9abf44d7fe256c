"""``POST /v1/digests/{id}/handover`` and what is due: messages that waited for each other go as one, checked again."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field, JsonValue, StringConstraints, model_validator

from adapters.handover_tokens import MAX_TOKEN
from adapters.postgres.digest_queue import Released
from domain.decision_request import MAX_VARIABLES
from domain.events import Identifier
from domain.message_types import MAX_DIGEST
from domain.templates import CannotRender
from domain.values import Frozen, Moment, Reason
from serving.admission import Lane
from serving.digests import HandedDigest
from serving.handovers import NothingLeft, OtherVariables
from serving.http.auth import Caller, PartsOf, permission
from serving.http.cursors import NextCursor, PageOf
from serving.http.decision_requests import CANNOT_RENDER
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.handovers import BAD_TOKEN, MOST, HandoverAnswer, told_of
from serving.http.routes import IdempotencyKey, Route, in_lane, own_key
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, prefix="/v1/digests", tags=["decisions"])
DigestId = Annotated[
    str, Path(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z-]+$", description="As `digest_released` told it.")
]


class DigestItem(Frozen):
    """One message of a digest."""

    decision_id: Identifier
    variables: dict[Annotated[str, StringConstraints(max_length=100)], JsonValue] = Field(
        default_factory=dict,
        max_length=MAX_VARIABLES,
        description="The same as at the decision: they are kept nowhere.",
    )
    singly: bool = Field(
        default=False,
        description="Lets it leave the digest and go by itself, without its variables: where they are lost, or where "
        "those of all messages are too large for one request.",
    )


class DigestRequest(Frozen):
    """Asks whether a digest may go now."""

    handover_token: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TOKEN)]
    items: tuple[DigestItem, ...] = Field(min_length=1, max_length=MAX_DIGEST)

    @model_validator(mode="after")
    def _each_once(self) -> "DigestRequest":
        if len({each.decision_id for each in self.items}) != len(self.items):
            raise ValueError("items must name a decision once")
        return self


class DroppedItem(Frozen):
    """A message that is in the digest no more, and why."""

    decision_id: str
    reason: Reason


class DigestAnswer(HandoverAnswer):
    """Whether to send the digest, and what; committed before it is given."""

    items: tuple[str, ...] = Field(description="The decisions whose messages are in it, the first ones first.")
    dropped: tuple[DroppedItem, ...] = Field(description="Those that expired or may not go any more.")
    singles: tuple[str, ...] = Field(
        description="Those that left it and go by themselves: each comes due as any message that waited."
    )


class DueDigest(Frozen):
    """A digest that waits to be handed over now."""

    digest_id: str
    recipient_id: str
    message_type: str
    items: tuple[str, ...]
    due_at: Moment
    expires_at: Moment
    handover_token: str


class DueDigestPage(Frozen):
    """What is due, the longest first."""

    due: tuple[DueDigest, ...]
    next_cursor: NextCursor


@router.get("/due", summary="List the digests that may be handed over now")
def get_due_digests(
    caller: Annotated[Caller, permission("decisions:write")],
    parts: PartsOf,
    page: PageOf,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> DueDigestPage:
    """Return what is due and was not handed over yet, with the tokens that ask for it: what `digest_released` tells."""
    tenant, after = caller.tenant, page.place(caller, tuple[datetime, str])
    found = parts.digests.queue.released(tenant, now=parts.clock.now(tenant), after=after, limit=limit)
    following = page.following(caller, found, limit, lambda each: (each.due_at, each.digest_id))
    return DueDigestPage(due=tuple(_due(parts, tenant.tenant, each) for each in found), next_cursor=following)


@router.post("/{digest_id}/handover", summary="Hand over a digest", responses=problems(403, 404, 422))
@own_key
@in_lane(Lane.NEVER_SHED)
def post_digest_handover(
    request: Request,
    caller: Annotated[Caller, permission("decisions:write")],
    digest_id: DigestId,
    body: Annotated[DigestRequest, body_of(DigestRequest)],
    parts: PartsOf,
    key: IdempotencyKey = None,
) -> DigestAnswer:
    """Check everything in a digest again as one message, and commit.

    One contact is made of the budget, however many messages it holds. `go`, `wait` and `stop` mean what they mean
    of one message; what expired on the way is in `dropped`, with the reason. What cannot be said in a digest is in
    `singles` and goes by itself; `stop` with `handover.singly` says that nothing else is left.
    """
    tenant = caller.tenant
    if not parts.digests.tokens.is_of(body.handover_token, tenant.tenant, digest_id):
        problem = FieldError(field="handover_token", expected="the token that was given with this digest")
        raise Refused(BAD_TOKEN, "This is not the token of this digest.", errors=[problem])
    variables = {each.decision_id: None if each.singly else each.variables for each in body.items}
    try:
        told = parts.digests.hand_over(
            tenant, digest_id, variables, key=key, now=parts.clock.now(tenant), actor=caller.actor
        )
    except NothingLeft:
        raise Refused(ProblemCode.NOT_FOUND, "There is no such digest.") from None
    except (OtherVariables, CannotRender) as error:
        raise _refused(error) from None
    request.state.decision_id = told.handed.decision_id
    return _told(told)


def _told(told: HandedDigest) -> DigestAnswer:
    given: dict[str, Any] = told_of(told.handed).model_dump(mode="json")
    dropped = [{"decision_id": each.decision_id, "reason": each.reason} for each in told.dropped]
    told_of_items = {"items": told.decision_ids, "dropped": dropped, "singles": told.singles}
    return DigestAnswer.model_validate(given | told_of_items)


def _due(parts: PartsOf, tenant: str, each: Released) -> DueDigest:
    return DueDigest(
        digest_id=each.digest_id,
        recipient_id=each.recipient_id,
        message_type=each.message_type,
        items=each.decision_ids,
        due_at=each.due_at,
        expires_at=each.expires_at,
        handover_token=parts.digests.tokens.of(tenant, each.digest_id),
    )


def _refused(error: OtherVariables | CannotRender) -> Refused:
    if isinstance(error, OtherVariables):
        problem = FieldError(field="items", expected="every message of the digest, with its decision's variables")
        return Refused(ProblemCode.INVALID, f"Nothing was handed over: {error}.", errors=[problem])
    problem = FieldError(field="items", expected="values that the digest's templates can be filled with")
    return Refused(CANNOT_RENDER, f"Nothing was handed over: {error}.", errors=[problem])
