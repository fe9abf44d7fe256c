"""``POST /v1/decisions/preview``: one question about a decision, answered without making it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from domain.decision_preview import Preview, Question, preview
from domain.decision_request import DecisionRequest
from serving.asks import Ask
from serving.decide import new_id
from serving.http.auth import Caller, PartsOf, permission
from serving.http.decision_requests import read_request, refusal_of
from serving.http.errors import problems
from serving.http.routes import IdempotencyKey, Route, own_key
from serving.http.strict_body import BodyIs, Document

router = APIRouter(route_class=Route, tags=["decisions"])


@router.post("/v1/decisions/preview", summary="Ask one question about a decision", responses=problems(422))
@own_key
def post_preview(
    caller: Annotated[Caller, permission("decisions:write")],
    document: Annotated[Document, Depends(BodyIs(DecisionRequest))],
    parts: PartsOf,
    stage: Annotated[Question, Query(description="The question: when, where, in which words, or what stands against.")],
    key: IdempotencyKey = None,  # noqa: ARG001 - documented as without effect: nothing is done that could be repeated
) -> Preview:
    """Answer by the same stages that make a decision; nothing is recorded, reserved or counted, but that it was asked.

    Probabilities are those a decision would be drawn with now. The outcome is a draw of this preview alone: the next
    decision draws its own. An `Idempotency-Key` has no effect.
    """
    tenant = caller.tenant
    ask = Ask(new_id(), read_request(document.value, caller))
    (found,) = parts.decider.consider(tenant, [ask], now=parts.clock.now(tenant))
    if not isinstance(found, tuple):
        raise refusal_of(found)
    parts.decisions.previewed(tenant, ask.request.recipient_id, stage.value, actor=caller.actor)
    return preview(stage, *found)
