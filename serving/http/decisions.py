"""``POST /v1/decisions``: what to do with one message to one recipient, recorded before it is answered."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from adapters.postgres.decision_rows import Recorded
from domain.decision_record import DecisionAnswer
from domain.decision_request import DecisionRequest
from domain.identity import decision_id
from serving.admission import Lane
from serving.asks import Ask
from serving.decide import new_id
from serving.http.auth import Caller, PartsOf, answers_without_store, own_part, permission
from serving.http.decision_requests import read_request, refusal_of
from serving.http.errors import ProblemCode, Refused, problems
from serving.http.routes import IdempotencyKey, Route, in_lane, own_key
from serving.http.strict_body import BodyIs, Document

router = APIRouter(route_class=Route, tags=["decisions"])
DecisionId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z-]+$")]


@router.post("/v1/decisions", summary="Decide about one message to one recipient", responses=problems(422))
@own_key
@answers_without_store
@in_lane(Lane.REAL_TIME)
def post_decision(
    request: Request,
    caller: Annotated[Caller, permission("decisions:write")],
    document: Annotated[Document, Depends(BodyIs(DecisionRequest))],
    parts: PartsOf,
    key: IdempotencyKey = None,
) -> DecisionAnswer:
    """Say whether, where and with what words to send now, to ask again later, or not to send.

    The answer is committed before it is given, "send nothing" included. A deferral says in `send_at` from when on it
    may be handed over, and gives the token that asks for it; until then its contact is reserved. A key stands for one
    decision, for good. A send holds for now: consent may change at any moment.
    """
    asked = read_request(document.value, caller)
    tenant = caller.tenant
    wanted = decision_id(tenant.subject_secret, key) if key is not None else new_id()
    request.state.decision_id = wanted
    (verdict,) = parts.decider.decide_each(
        tenant, [Ask(wanted, asked, may_repeat=key is not None)], now=parts.clock.now(tenant), actor=caller.actor
    )
    if not isinstance(verdict, Recorded):
        raise refusal_of(verdict)
    return DecisionAnswer.model_validate(verdict.answer)


@router.get("/v1/decisions/{decision_id}", summary="Read a decision's record", responses=problems(404))
@own_part
def get_decision(
    caller: Annotated[Caller, permission("decisions:read")], decision_id: DecisionId, parts: PartsOf
) -> dict[str, Any]:
    """Return everything the decision knew: gates, probabilities, scores, features and versions.

    It names nobody and holds no content: the recipient is a pseudonym, of the message there is its digest.
    """
    return recorded_decision(parts, caller, decision_id)


def recorded_decision(parts: PartsOf, caller: Caller, decision_id: str) -> dict[str, Any]:
    """Return a decision's record.

    Raises:
        Refused: 404, this tenant has no decision of the id.
    """
    record = parts.decisions.get(caller.tenant, decision_id, actor=caller.actor, subject=caller.subject_key)
    if record is None:
        raise Refused(ProblemCode.NOT_FOUND, "There is no decision with this id.")
    return record
