"""``POST /v1/decisions``: what to do with one message to one recipient, recorded before it is answered."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import ValidationError

from domain.content import CannotRender
from domain.decision_record import DecisionAnswer
from domain.decision_request import DecisionRequest, NotSupported, without_unsupported
from domain.identity import decision_id
from domain.message_types import BadVariables
from serving.asks import Ask
from serving.decide import KeyReused, new_id
from serving.http.auth import Caller, PartsOf, own_part, permission
from serving.http.errors import FieldError, ProblemCode, Refused, invalid, problems
from serving.http.problem_codes import declared
from serving.http.routes import KEY_REUSED, IdempotencyKey, Route, own_key
from serving.http.strict_body import BodyIs, Document
from serving.situations import UnknownType

router = APIRouter(route_class=Route, tags=["decisions"])
UNKNOWN_TYPE = declared("message.unknown_type", 422, "No message type of this name is published.")
CANNOT_RENDER = declared("message.cannot_render", 422, "The type's templates cannot be filled with these variables.")

DecisionId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z-]+$")]


@router.post("/v1/decisions", summary="Decide about one message to one recipient", responses=problems(422))
@own_key
def post_decision(
    request: Request,
    caller: Annotated[Caller, permission("decisions:write")],
    document: Annotated[Document, Depends(BodyIs(DecisionRequest))],
    parts: PartsOf,
    key: IdempotencyKey = None,
) -> DecisionAnswer:
    """Say whether, where and with what words to send now, to ask again later, or not to send.

    The answer is committed before it is given, "send nothing" included. A deferral says in `send_at` when to ask
    again, under another `Idempotency-Key`: a key stands for one decision, for good. A send holds for now: consent
    may change at any moment.
    """
    asked = _read(document.value)
    tenant = caller.tenant
    wanted = decision_id(tenant.subject_secret, key) if key is not None else new_id()
    request.state.decision_id = wanted
    try:
        (recorded,) = parts.decider.decide(
            tenant, [Ask(wanted, asked, may_repeat=key is not None)], now=parts.clock.now(tenant), actor=caller.actor
        )
    except (UnknownType, BadVariables, CannotRender, KeyReused) as error:
        raise _refused(error) from None
    return DecisionAnswer.model_validate(recorded.answer)


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


def _read(body: Any) -> DecisionRequest:
    try:
        # Checked as JSON, not as Python objects: "1" is no number and true is no text.
        return DecisionRequest.model_validate_json(json.dumps(without_unsupported(body)), strict=True)
    except NotSupported as error:
        detail = "This field is part of the contract and not supported yet."
        problem = FieldError(field=error.field, expected="no value, or null")
        raise Refused(ProblemCode.NOT_SUPPORTED, detail, errors=[problem]) from None
    except ValidationError as error:
        raise invalid(error) from None


def _refused(error: UnknownType | BadVariables | CannotRender | KeyReused) -> Refused:
    if isinstance(error, UnknownType):
        problem = FieldError(field="message.type", expected="the name of a published message type")
        return Refused(UNKNOWN_TYPE, "No message type of this name is published.", errors=[problem])
    if isinstance(error, BadVariables):
        problem = FieldError(field=error.field, expected=error.expected)
        return Refused(ProblemCode.INVALID, "The variables do not fit the message type.", errors=[problem])
    if isinstance(error, CannotRender):
        problem = FieldError(field="message.variables", expected="values that the type's templates can be filled with")
        return Refused(CANNOT_RENDER, f"Nothing was decided: {error}.", errors=[problem])
    problem = FieldError(field="Idempotency-Key", expected="a key that was not used for another request")
    return Refused(KEY_REUSED, "This key stands for another request.", errors=[problem])
