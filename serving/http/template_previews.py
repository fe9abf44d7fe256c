"""Previews of templates: what applying one would change, for a recipient or for a sample of them."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from adapters.postgres.preference_templates import UnknownTemplate
from adapters.postgres.template_applications import UnknownAudience
from domain.events import Identifier, Name
from domain.values import Frozen
from serving import template_preview
from serving.admission import Lane
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import ProblemCode, Refused, problems
from serving.http.preference_templates import TemplateId, unknown
from serving.http.routes import Route, in_lane
from serving.http.strict_body import body_of
from serving.template_preview import RecipientPreview, SamplePreview

router = APIRouter(route_class=Route, prefix="/v1/preferences/templates/{template_id}/preview", tags=["preferences"])
MAX_SAMPLE = 500
_VersionField = Annotated[int, Field(ge=1, lt=2**31)] | None


class PreviewedRecipient(Frozen):
    """For whom, and in which version; null is the newest."""

    recipient_id: Identifier
    version: _VersionField = None


class Sample(Frozen):
    """How many recipients to look at, of which audience (null is everybody), and in which version."""

    size: int = Field(default=100, ge=1, le=MAX_SAMPLE)
    audience: Name | None = None
    version: _VersionField = None


@router.post("", summary="Ask what a template would change for a recipient", responses=problems(404))
def post_template_preview(
    caller: Annotated[Caller, permission("preferences:read")],
    template_id: TemplateId,
    body: Annotated[PreviewedRecipient, body_of(PreviewedRecipient)],
    parts: PartsOf,
) -> RecipientPreview:
    """Return what would hold instead for every message type and channel, and what each condition came to."""
    try:
        return template_preview.of_recipient(
            parts, caller.tenant, body.recipient_id, template_id, body.version, actor=caller.actor
        )
    except UnknownTemplate:
        raise unknown() from None


@router.post("/sample", summary="Ask what a template would change for a sample", responses=problems(404))
@in_lane(Lane.BATCH)
def post_sample_preview(
    caller: Annotated[Caller, permission("templates:read")],
    template_id: TemplateId,
    body: Annotated[Sample, body_of(Sample)],
    parts: PartsOf,
) -> SamplePreview:
    """Return how many of a sample of recipients with a profile would have what changed; groups below ten are null."""
    try:
        return template_preview.of_sample(
            parts,
            caller.tenant,
            template_id,
            body.version,
            audience=body.audience,
            size=body.size,
            actor=caller.actor,
        )
    except UnknownTemplate:
        raise unknown() from None
    except UnknownAudience:
        raise Refused(ProblemCode.NOT_FOUND, "The template has no audience of this name.") from None
