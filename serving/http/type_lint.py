"""``POST /v1/types/lint``: what is wrong with a message type before it is published; nothing is kept."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field

from adapters.text_reader import TextReader
from domain import document_lint
from domain.document_lint import TypeFinding
from domain.message_types import MessageType
from domain.values import Frozen
from serving import metrics
from serving.http.auth import Caller, PartsOf, permission
from serving.http.routes import IdempotencyKey, Route, own_key
from serving.http.strict_body import BodyIs, Document

router = APIRouter(route_class=Route, prefix="/v1/types", tags=["message types"])
_READER = TextReader()


class TypeLint(Frozen):
    """Everything that is wrong with a document as a message type."""

    can_be_published: bool = Field(description="False where a finding is an error.")
    brand_rules: int = Field(description="Version of the brand rules it was held against; 0 has none.")
    findings: tuple[TypeFinding, ...]


@router.post("/lint", summary="Tell what is wrong with a message type")
@own_key
def post_type_lint(
    caller: Annotated[Caller, permission("types:read")],
    document: Annotated[Document, Depends(BodyIs(MessageType))],
    parts: PartsOf,
    key: IdempotencyKey = None,  # noqa: ARG001 - documented as without effect: nothing is done that could be repeated
) -> TypeLint:
    """Look a document over as `kairos types apply` does, filled with sample values and held against the brand rules.

    What is no message type at all is a finding too, by field. Language and tone are estimates, so they are warnings. An
    `Idempotency-Key` has no effect.
    """
    brand = parts.brand_rules.get(caller.tenant)
    found = document_lint.of_document(document.value, brand.document, _READER)
    for each in found:
        metrics.LINT_FINDINGS.labels(each.code).inc()
    return TypeLint(
        can_be_published=all(each.severity != "error" for each in found),
        brand_rules=brand.version,
        findings=tuple(found),
    )
