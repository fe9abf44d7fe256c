"""Request bodies: counted while they stream in, then read strictly, then checked against a model.

Everything this refuses is a 4xx before any store is touched: too long, endless, another media type, not JSON.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any

import anyio
from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from domain import strict_json
from domain.events import MAX_BODY_BYTES
from domain.strict_json import StrictJsonError
from serving.http.errors import FieldError, ProblemCode, Refused, invalid

BODY_SECONDS = 10.0
"""Longest a sender may take for its body."""


@dataclass(frozen=True)
class Document:
    """A JSON body: its bytes and what they say."""

    raw: bytes
    value: Any


async def raw_body(request: Request) -> bytes:
    """Return the body, never more than 500 KB of it.

    Raises:
        Refused: 413 too large, 415 not plain ``application/json``, 408 too slow.
    """
    _check_media_type(request)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(MAX_BODY_BYTES)) or int(declared) > MAX_BODY_BYTES):
        raise _too_large()
    try:
        with anyio.fail_after(BODY_SECONDS):
            body = await _counted(request)
    except TimeoutError:
        raise Refused(ProblemCode.TOO_SLOW, f"The body must arrive within {BODY_SECONDS:.0f} seconds.") from None
    # An idempotency key stands for one body.
    request.state.body_digest = sha256(body).digest()
    return body


async def _counted(request: Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        chunks.append(chunk)
    return b"".join(chunks)


def json_document(raw: Annotated[bytes, Depends(raw_body)]) -> Document:
    """Return the body as JSON.

    Raises:
        Refused: 400, with the place and what was expected there.
    """
    try:
        return Document(raw, strict_json.loads(raw, max_bytes=MAX_BODY_BYTES))
    except StrictJsonError as error:
        problem = FieldError(field=error.place, expected=error.expected)
        raise Refused(
            ProblemCode.MALFORMED, f"The body cannot be read: expected {error.expected}.", errors=[problem]
        ) from None


class BodyIs:
    """A dependency that returns the body as JSON and documents which models it may be; the handler checks it."""

    def __init__(self, *models: type[BaseModel]) -> None:
        self.models = models

    def __call__(self, document: Annotated[Document, Depends(json_document)]) -> Any:
        """Return the body."""
        return document


class _BodyOf(BodyIs):
    def __call__(self, document: Annotated[Document, Depends(json_document)]) -> Any:
        try:
            return self.models[0].model_validate_json(document.raw, strict=True)
        except ValidationError as error:
            raise invalid(error) from None


def body_of(model: type[BaseModel]) -> Any:
    """Return the dependency that reads the body as one model, strictly typed: no ``"1"`` or ``true`` for a number.

    Use it as ``body: Annotated[DecisionRequest, body_of(DecisionRequest)]``; the OpenAPI document follows from it.
    What does not fit is a 422 that names every field at fault.
    """
    return Depends(_BodyOf(model))


def _check_media_type(request: Request) -> None:
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().replace('"', "").removeprefix("charset=")
    if media_type.strip().lower() != "application/json" or charset not in ("", "utf-8"):
        raise Refused(ProblemCode.MEDIA_TYPE, "The body must be application/json in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(ProblemCode.MEDIA_TYPE, "The body must not be compressed.")


def _too_large() -> Refused:
    return Refused(ProblemCode.TOO_LARGE, f"The body must not be larger than {MAX_BODY_BYTES} bytes.")
