"""Every code a problem document may carry, with its status, severity and whether trying again may help.

A module declares the codes of its own subject where it raises them; docs/errors.md lists all, made from here.
"""

from enum import StrEnum
from http import HTTPStatus

from domain.ingest import RejectionCode
from domain.values import Frozen


class Severity(StrEnum):
    """Who has to do something about it."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class ProblemKind(Frozen):
    """What a code stands for; none of it ever changes for a code that was published."""

    code: str
    status: int
    severity: Severity
    is_retryable: bool
    meaning: str


class ProblemCode(StrEnum):
    """Why a request was not done, whatever it was about; clients branch on this."""

    MALFORMED = "request.malformed"
    INVALID = "request.invalid"
    TOO_LARGE = "request.too_large"
    TOO_SLOW = "request.too_slow"
    MEDIA_TYPE = "request.media_type"
    METHOD = "request.method"
    NOT_FOUND = "resource.not_found"
    UNAUTHENTICATED = "auth.unauthenticated"
    FORBIDDEN = "auth.forbidden"
    UNAVAILABLE = "service.unavailable"
    FAILED = "service.failed"


KINDS: dict[str, ProblemKind] = {}


def declared(
    code: str, status: int, meaning: str, *, is_retryable: bool = False, severity: Severity = Severity.WARNING
) -> str:
    """Declare a code and return it.

    ``KEY_REUSED = declared("request.key_reused", 422, "A sentence.")`` stands where the code is raised.

    Args:
        code: ``subject.what``, lower case; published once, it keeps its meaning.
        status: the HTTP status it is answered with.
        meaning: one sentence for docs/errors.md.
        is_retryable: True when the same request, unchanged, may be done later.
        severity: INFO when nobody has to do anything, WARNING when the caller has, ERROR when we have.

    Raises:
        ValueError: the code stands for something else already.
    """
    kind = ProblemKind(code=code, status=status, severity=severity, is_retryable=is_retryable, meaning=meaning)
    if KINDS.setdefault(code, kind) != kind:
        raise ValueError(f"the problem code {code} is declared twice")
    return code


def kind_of(code: str, status: int | None) -> ProblemKind:
    """Return what a code stands for; for one that nobody declared, what its status says."""
    if code in KINDS:
        known = KINDS[code]
        return known if status is None else known.model_copy(update={"status": status})
    if status is None:
        raise ValueError(f"the problem code {code} is not declared")
    severity = Severity.ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Severity.WARNING
    return ProblemKind(code=code, status=status, severity=severity, is_retryable=False, meaning="")


for _code, _status, _meaning in (
    (ProblemCode.MALFORMED, 400, "The request cannot be read."),
    (ProblemCode.INVALID, 422, "The request can be read and does not have the form that is expected."),
    (ProblemCode.TOO_LARGE, 413, "The body is larger than the limit."),
    (ProblemCode.MEDIA_TYPE, 415, "The body is not plain, uncompressed application/json in UTF-8."),
    (ProblemCode.METHOD, 405, "The address does not take this method."),
    (ProblemCode.NOT_FOUND, 404, "There is nothing at this address for this tenant."),
    (ProblemCode.UNAUTHENTICATED, 401, "One valid credential is needed."),
    (ProblemCode.FORBIDDEN, 403, "The credential lacks the permission the route declares."),
):
    declared(_code, _status, _meaning)
declared(ProblemCode.TOO_SLOW, 408, "The body did not arrive in time.", is_retryable=True)
declared(
    ProblemCode.UNAVAILABLE,
    503,
    "A store is away; nothing was acknowledged.",
    is_retryable=True,
    severity=Severity.ERROR,
)
declared(ProblemCode.FAILED, 500, "A fault of the service; it has been logged.", severity=Severity.ERROR)

for _rejection, _meaning in (
    (RejectionCode.NOT_JSON, "The item is not JSON as it is read here."),
    (RejectionCode.NOT_AN_OBJECT, "The item is not an object."),
    (RejectionCode.TOO_LARGE, "The event is larger than the limit."),
    (RejectionCode.FIELD_MISSING, "A field the event needs is missing."),
    (RejectionCode.FIELD_UNKNOWN, "A field that no event has."),
    (RejectionCode.FIELD_INVALID, "A field does not have the form that is expected."),
    (RejectionCode.UNTIMELY, "The event lies in the future, or before what is kept."),
    (RejectionCode.UNMAPPED, "A line of a file that the mapping does not cover."),
):
    declared(_rejection, 422, _meaning)
declared(RejectionCode.CONFLICT, 409, "Another event has this source and id.")
