"""``/v1/preferences/templates``: named sets of preferences in versions, and what people think of them."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import Field

from adapters.postgres.preference_templates import Feedback, PublishedTemplate, TemplateChanged, UnknownTemplate
from adapters.postgres.preferences import NotAllowed
from adapters.postgres.template_outcomes import Statistics
from domain.events import Name
from domain.preference_templates import Template
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.conditional import conditional
from serving.http.cursors import NextCursor, PageOf
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.problem_codes import declared
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, prefix="/v1/preferences/templates", tags=["preferences"])
VERSION_CONFLICT = declared("template.version_conflict", 412, "The template has changed since the version you saw.")
NOT_ALLOWED = declared("template.not_allowed", 409, "The tenant's preference policy does not allow this template.")
Reader = Annotated[Caller, permission("templates:read")]
Writer = Annotated[Caller, permission("templates:write")]
TemplateId = Annotated[Name, Path(description="The name of the template.")]
Version = Annotated[int | None, Query(ge=1, lt=2**31, description="Absent: the newest.")]
IfMatch = Annotated[
    str | None, Header(alias="If-Match", pattern=r'^"\d{1,9}"$', description='The ETag you saw, "0" for none.')
]


class TemplateList(Frozen):
    """Every template in its newest version, by name."""

    templates: list[PublishedTemplate]


class TemplateVersions(Frozen):
    """Every version of a template, oldest first."""

    versions: list[PublishedTemplate]


class Rating(Frozen):
    """What somebody thinks of a version, 1 (poor) to 5 (good); name nobody in the comment."""

    rating: int = Field(ge=1, le=5)
    comment: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    version: Annotated[int, Field(ge=1, lt=2**31)] | None = Field(default=None, description="Null: the newest.")


class FeedbackList(Frozen):
    """What was said, newest first."""

    feedback: list[Feedback]
    next_cursor: NextCursor


@router.get("", summary="List templates of preferences")
def get_templates(caller: Reader, parts: PartsOf) -> TemplateList:
    """Return every template in its newest version, by name."""
    return TemplateList(templates=parts.templates.published.all(caller.tenant))


@router.put("/{template_id}", summary="Publish a version of a template", responses=problems(409, 412))
def put_template(
    caller: Writer,
    template_id: TemplateId,
    body: Annotated[Template, body_of(Template)],
    parts: PartsOf,
    response: Response,
    if_match: IfMatch = None,
) -> PublishedTemplate:
    """Publish a template, or a new version of it; an equal one makes no new version.

    Whoever has an older version keeps it until this one is applied to them. A template never stands for consent and
    is overruled by whatever a recipient chose.
    """
    seen = int(if_match.strip('"')) if if_match is not None else None
    try:
        published = parts.templates.published.publish(
            caller.tenant, template_id, body, actor=caller.actor, if_version=seen
        )
    except TemplateChanged:
        problem = FieldError(field="If-Match", expected="the template's present ETag")
        raise Refused(VERSION_CONFLICT, "The template has changed since you read it.", errors=[problem]) from None
    except NotAllowed as error:
        found = [FieldError(field=each.field, expected=each.expected) for each in error.findings]
        raise Refused(NOT_ALLOWED, "The tenant's policy does not allow this template.", errors=found) from None
    return _tagged(published, response)


@router.get("/{template_id}", summary="Read a template", responses=problems(404))
@conditional
def get_template(
    caller: Reader, template_id: TemplateId, parts: PartsOf, response: Response, version: Version = None
) -> PublishedTemplate:
    """Return a template in one version; the version is the `ETag` too."""
    try:
        return _tagged(parts.templates.published.get(caller.tenant, template_id, version), response)
    except UnknownTemplate:
        raise unknown() from None


@router.get("/{template_id}/versions", summary="Read every version of a template", responses=problems(404))
def get_template_versions(caller: Reader, template_id: TemplateId, parts: PartsOf) -> TemplateVersions:
    """Return every version with its author, oldest first."""
    try:
        return TemplateVersions(versions=parts.templates.published.versions(caller.tenant, template_id))
    except UnknownTemplate:
        raise unknown() from None


@router.post("/{template_id}/feedback", status_code=204, summary="Rate a template", responses=problems(404))
def post_template_feedback(
    caller: Reader, template_id: TemplateId, body: Annotated[Rating, body_of(Rating)], parts: PartsOf
) -> None:
    """Keep what you think of a version of a template."""
    try:
        parts.templates.published.give_feedback(
            caller.tenant, template_id, body.version, body.rating, body.comment, actor=caller.actor
        )
    except UnknownTemplate:
        raise unknown() from None


@router.get("/{template_id}/feedback", summary="Read what was said of a template", responses=problems(404))
def get_template_feedback(
    caller: Reader,
    template_id: TemplateId,
    parts: PartsOf,
    page: PageOf,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> FeedbackList:
    """Return ratings and comments, newest first."""
    before = page.place(caller, int)
    try:
        found = parts.templates.published.feedback(caller.tenant, template_id, limit=limit, before=before)
    except UnknownTemplate:
        raise unknown() from None
    following = page.following(caller, found, limit, lambda each: each[0])
    return FeedbackList(feedback=[told for _, told in found], next_cursor=following)


@router.get("/{template_id}/statistics", summary="Read what became of a template", responses=problems(404))
def get_template_statistics(
    caller: Reader, template_id: TemplateId, parts: PartsOf, version: Version = None
) -> Statistics:
    """Return how much a version is used, how it is rated, and what members did in 90 days; no group below 10."""
    now = parts.clock.now(caller.tenant)
    try:
        return parts.templates.statistics.read(caller.tenant, template_id, version, now=now)
    except UnknownTemplate:
        raise unknown() from None


def unknown() -> Refused:
    """Return the refusal for a template or version there is not."""
    return Refused(ProblemCode.NOT_FOUND, "There is no such template, or not in this version.")


def _tagged(published: PublishedTemplate, response: Response) -> PublishedTemplate:
    response.headers["ETag"] = f'"{published.version}"'
    return published
