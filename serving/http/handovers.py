"""``POST /v1/decisions/{id}/handover`` and what is due: a message that waited is checked again, and goes once."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field, JsonValue, StringConstraints

from adapters.handover_tokens import MAX_TOKEN
from adapters.postgres.follow_up_queue import Waiting
from domain.content import RenderedContent
from domain.decision_request import MAX_VARIABLES
from domain.gates import Refusal
from domain.handover import Kind, Verdict
from domain.legal.tracking import OpenTracking
from domain.message_types import BadVariables
from domain.templates import CannotRender
from domain.values import Channel, Frozen, Moment, Reason
from serving.admission import Lane
from serving.handovers import HandedOver, NothingLeft, OtherVariables
from serving.http.auth import Caller, PartsOf, permission
from serving.http.cursors import NextCursor, PageOf
from serving.http.decision_requests import CANNOT_RENDER
from serving.http.decisions import DecisionId
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.problem_codes import declared
from serving.http.routes import IdempotencyKey, Route, in_lane, own_key
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, tags=["decisions"])
BAD_TOKEN = declared("handover.bad_token", 422, "The hand-over token is not that of the decision.")
MOST = 200


class HandoverRequest(Frozen):
    """Asks whether a message that waited may go now."""

    handover_token: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TOKEN)]
    variables: dict[Annotated[str, StringConstraints(max_length=100)], JsonValue] = Field(
        default_factory=dict,
        max_length=MAX_VARIABLES,
        description="Of the message, the same as at the decision: they are kept nowhere.",
    )


class HandoverAnswer(Frozen):
    """Whether to send, and what; committed before it is given."""

    verdict: Verdict
    reason: Reason
    decision_id: str = Field(description="Report outcomes under this id; of `go` it is the hand-over's own.")
    channel: Channel | None = None
    variant_id: str | None = None
    content: RenderedContent | None = None
    open_tracking: OpenTracking | None = None
    opens_at: Moment | None = Field(default=None, description="Of `wait`: when to ask again.")
    refusals: tuple[Refusal, ...] = ()
    recheck_by: Moment | None = Field(
        default=None, description="Of a message that must reach: when to ask for its next channel, unless it did."
    )
    handover_token: str | None = Field(default=None, description="Asks for that, under `decision_id`.")


class Due(Frozen):
    """What waits to be handed over now."""

    decision_id: str
    kind: Kind
    recipient_id: str
    message_type: str
    campaign_id: str | None
    due_at: Moment
    expires_at: Moment
    handover_token: str


class DuePage(Frozen):
    """What is due, the longest first."""

    due: tuple[Due, ...]
    next_cursor: NextCursor


@router.get("/v1/decisions/due", summary="List what may be handed over now")
def get_due(
    caller: Annotated[Caller, permission("decisions:write")],
    parts: PartsOf,
    page: PageOf,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> DuePage:
    """Return what is due and was not handed over yet, with the tokens that ask for it: what `decision_released` tells.

    Asking is not taking: whoever hands over first gets `go`, everybody else `stop`.
    """
    tenant, after = caller.tenant, page.place(caller, tuple[datetime, str])
    now = parts.clock.now(tenant)
    found = parts.handovers.queue.released(tenant, now=now, after=after, limit=limit)
    following = page.following(caller, found, limit, lambda each: (each.due_at, each.decision_id))
    return DuePage(due=tuple(_due(parts, tenant.tenant, each) for each in found), next_cursor=following)


@router.post(
    "/v1/decisions/{decision_id}/handover",
    summary="Hand over a message that waited",
    responses=problems(403, 404, 422),
)
@own_key
@in_lane(Lane.NEVER_SHED)
def post_handover(
    request: Request,
    caller: Annotated[Caller, permission("decisions:write")],
    decision_id: DecisionId,
    body: Annotated[HandoverRequest, body_of(HandoverRequest)],
    parts: PartsOf,
    key: IdempotencyKey = None,
) -> HandoverAnswer:
    """Check expiry, consent, suppressions, preferences, pauses, law, quiet hours and budget again, and commit.

    `go` is answered once, with the content. Under the same `Idempotency-Key` it is answered again, for a sender that
    died in between; anybody else is told `stop`. `wait` names the next opening; ask again then, under any key.
    """
    tenant = caller.tenant
    if not parts.handovers.tokens.is_of(body.handover_token, tenant.tenant, decision_id):
        problem = FieldError(field="handover_token", expected="the token that was given with this decision")
        raise Refused(BAD_TOKEN, "This is not the token of this decision.", errors=[problem])
    try:
        handed = parts.handovers.hand_over(
            tenant, decision_id, body.variables, key=key, now=parts.clock.now(tenant), actor=caller.actor
        )
    except NothingLeft:
        raise Refused(ProblemCode.NOT_FOUND, "This decision left nothing to hand over.") from None
    except (OtherVariables, BadVariables, CannotRender) as error:
        raise _refused(error) from None
    request.state.decision_id = handed.decision_id
    return told_of(handed)


def told_of(handed: HandedOver) -> HandoverAnswer:
    """Return what a hand-over is answered."""
    answer: dict[str, Any] = dict(handed.answer or {})
    given: dict[str, Any] = {}
    if handed.verdict is Verdict.GO:
        names = ("channel", "variant_id", "content", "open_tracking", "recheck_by", "handover_token")
        given = {name: answer[name] for name in names}
    told = {
        "verdict": handed.verdict,
        "reason": handed.reason,
        "decision_id": handed.decision_id,
        "opens_at": handed.opens_at,
        "refusals": answer.get("refusals", ()),
    }
    return HandoverAnswer.model_validate(told | given)


def _due(parts: PartsOf, tenant: str, waiting: Waiting) -> Due:
    return Due(
        decision_id=waiting.decision_id,
        kind=waiting.kind,
        recipient_id=waiting.recipient_id,
        message_type=waiting.message_type,
        campaign_id=waiting.campaign_id,
        due_at=waiting.due_at,
        expires_at=waiting.expires_at,
        handover_token=parts.handovers.tokens.of(tenant, waiting.decision_id),
    )


def _refused(error: OtherVariables | BadVariables | CannotRender) -> Refused:
    if isinstance(error, BadVariables):
        problem = FieldError(field=error.field.removeprefix("message."), expected=error.expected)
        return Refused(ProblemCode.INVALID, "The variables do not fit the message type as it is now.", errors=[problem])
    if isinstance(error, CannotRender):
        problem = FieldError(field="variables", expected="values that the type's templates can be filled with")
        return Refused(CANNOT_RENDER, f"Nothing was handed over: {error}.", errors=[problem])
    problem = FieldError(field="variables", expected="the variables that the decision was asked with")
    return Refused(ProblemCode.INVALID, "These are not the variables of the decision.", errors=[problem])
