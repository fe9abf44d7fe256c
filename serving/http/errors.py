"""Errors of the API: problem documents (RFC 9457) with a stable code, and nothing of what happened inside.

A refusal names the field and what was expected; it never repeats the value it refused.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from adapters.postgres.engine import Unavailable
from domain import faults
from domain.values import Frozen
from serving import metrics
from serving.http.problem_codes import ProblemCode, Severity, kind_of

__all__ = ["FieldError", "Problem", "ProblemCode", "Refused", "failed", "install", "invalid", "problems", "respond"]

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1
_MOST_ERRORS = 20


class FieldError(Frozen):
    """What is wrong with one field."""

    field: str = Field(description="Where, as a path of names and positions; empty for the whole document.")
    expected: str = Field(description="What would have been accepted.")


class Problem(Frozen):
    """A problem document (RFC 9457)."""

    type: str = Field(description="The code as a URI; stable.")
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; branch on this. docs/errors.md lists every one.")
    severity: Severity = Field(description="Who has to act: nobody (info), the caller (warning), we (error).")
    is_retryable: bool = Field(description="Whether the same request, unchanged, may be done later.")
    field: str | None = Field(default=None, description="The first field at fault.")
    errors: tuple[FieldError, ...] = Field(default=(), description="Every field at fault, up to 20.")
    request_id: str = Field(description="Quote this when asking for help; the logs have it.")


class Refused(Exception):
    """A request that is answered with a problem document.

    Args:
        code: a ProblemCode, or a more specific code that was ``declared``.
        detail: one sentence for a person; never a value the request carried.
        status: where it is not the declared one.
        errors: the fields at fault.
        headers: to add to the answer.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        errors: Sequence[FieldError] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.kind = kind_of(code, status)
        self.status = self.kind.status
        self.errors = tuple(errors)
        self.headers = headers or {}


def invalid(error: ValidationError | RequestValidationError) -> Refused:
    """Return the refusal for what pydantic found, without the values it found it in."""
    found = [_field_error(each) for each in error.errors()[:_MOST_ERRORS]]
    return Refused(ProblemCode.INVALID, "The request does not have the form that is expected here.", errors=found)


def _field_error(fault: Any) -> FieldError:
    return FieldError(field=faults.field(fault).removeprefix("body."), expected=faults.expected(fault))


def respond(refused: Refused, request_id: str) -> JSONResponse:
    """Return the problem document of a refusal, and count it."""
    metrics.count_problem(refused.code, refused.kind.severity)
    problem = Problem(
        type=f"urn:kairos:problem:{refused.code}",
        title=HTTPStatus(refused.status).phrase,
        status=refused.status,
        detail=str(refused),
        code=refused.code,
        severity=refused.kind.severity,
        is_retryable=refused.kind.is_retryable,
        field=refused.errors[0].field if refused.errors else None,
        errors=refused.errors,
        request_id=request_id,
    )
    return JSONResponse(
        problem.model_dump(mode="json", exclude_defaults=True), refused.status, refused.headers, media_type=MEDIA_TYPE
    )


def failed(request_id: str) -> JSONResponse:
    """Return the answer of last resort."""
    return respond(Refused(ProblemCode.FAILED, "Something went wrong on our side; it has been logged."), request_id)


def unavailable(detail: str) -> Refused:
    """Return the refusal for a store that is away: nothing was acknowledged, trying again may help."""
    return Refused(ProblemCode.UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def install(app: FastAPI) -> None:
    """Answer every exception a route can raise with a problem document."""

    @app.exception_handler(Refused)
    async def _refused(request: Request, error: Refused) -> JSONResponse:
        return _answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return _answer(request, invalid(error))

    @app.exception_handler(Unavailable)
    async def _unavailable(request: Request, _: Unavailable) -> JSONResponse:
        return _answer(request, unavailable("The store of record is away; nothing was done. Try again."))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        code, detail = _BY_STATUS.get(error.status_code, (ProblemCode.MALFORMED, "The request cannot be understood."))
        headers = dict(error.headers or {})
        return _answer(request, Refused(code, detail, status=error.status_code, headers=headers))


def _answer(request: Request, refused: Refused) -> JSONResponse:
    # The log line of the request names the problem by this.
    request.state.problem = refused.code
    return respond(refused, request_id(request))


_BY_STATUS = {
    404: (ProblemCode.NOT_FOUND, "There is nothing at this address."),
    405: (ProblemCode.METHOD, "This address does not take this method."),
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that may answer with these problems."""
    return {status: {"model": Problem, "description": HTTPStatus(status).phrase} for status in sorted(statuses)}


def request_id(request: Request) -> str:
    """Return the id under which the request is logged."""
    return str(request.state.request_id)
