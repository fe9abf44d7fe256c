"""Requests for decisions as they come in a body, one or many, and the problem document for one that is refused."""

import json
from typing import Any

from pydantic import ValidationError

from domain.decision_request import DecisionRequest, NotSupported, without_unsupported
from domain.message_types import BadVariables
from domain.templates import CannotRender
from serving.decision_answers import AskRefused
from serving.http.errors import FieldError, ProblemCode, Refused, invalid
from serving.http.problem_codes import declared
from serving.http.routes import KEY_REUSED
from serving.situations import UnknownType

UNKNOWN_TYPE = declared("message.unknown_type", 422, "No message type of this name is published.")
CANNOT_RENDER = declared("message.cannot_render", 422, "The type's templates cannot be filled with these variables.")


def read_request(body: Any) -> DecisionRequest:
    """Return the request that a parsed body holds.

    Raises:
        Refused: 422 with every field at fault, or 400 for one that is not supported yet.
    """
    try:
        # Checked as JSON, not as Python objects: "1" is no number and true is no text.
        return DecisionRequest.model_validate_json(json.dumps(without_unsupported(body)), strict=True)
    except NotSupported as error:
        detail = "This field is part of the contract and not supported yet."
        problem = FieldError(field=error.field, expected="no value, or null")
        raise Refused(ProblemCode.NOT_SUPPORTED, detail, errors=[problem]) from None
    except ValidationError as error:
        raise invalid(error) from None


def refusal_of(error: AskRefused) -> Refused:
    """Return the refusal of a request about which nothing was decided."""
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
