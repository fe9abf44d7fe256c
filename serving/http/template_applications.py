"""Applying templates: to one recipient at once, to many or an audience as a job, and taking exactly that back."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field, field_validator

from adapters.postgres.preference_templates import UnknownTemplate
from adapters.postgres.preferences import RecipientGone
from adapters.postgres.profiles import UnknownRecipient
from adapters.postgres.template_applications import (
    MAX_AUDIENCE,
    AppliedTemplate,
    NotMet,
    NotNow,
    TooMany,
    UnknownApplication,
    UnknownAudience,
)
from domain.events import Identifier, Name
from domain.learned_defaults import Evidence
from domain.preference_templates import Membership
from domain.values import Frozen
from serving.admission import Lane
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.preference_templates import TemplateId, unknown
from serving.http.problem_codes import declared
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route, in_lane
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, tags=["preferences"])
MAX_RECIPIENTS = 10_000
NOT_MET = declared("template.conditions_not_met", 409, "The template's conditions are not true of this recipient.")
AUDIENCE_TOO_LARGE = declared("template.audience_too_large", 409, "The tenant has too many recipients for one job.")
CANNOT_ROLL_BACK = declared(
    "template.cannot_roll_back", 409, "The application is still under way, or was rolled back already."
)
ApplicationId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
_VersionField = Annotated[int, Field(ge=1, lt=2**31)] | None


class WhichTemplate(Frozen):
    """A template, and a version of it; null is the newest."""

    template_id: Name
    version: _VersionField = None


class Recipients(Frozen):
    """To whom, and in which version; null is the newest."""

    recipient_ids: tuple[Identifier, ...] = Field(min_length=1, max_length=MAX_RECIPIENTS)
    version: _VersionField = None

    @field_validator("recipient_ids")
    @classmethod
    def _name_nobody_twice(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(given)) < len(given):
            raise ValueError("must not name a recipient twice")
        return given


class WhichVersion(Frozen):
    """A version; null is the newest."""

    version: _VersionField = None


class TemplateOfRecipient(Frozen):
    """The template a recipient has; null is none."""

    membership: Membership | None


@router.get(PREFIX + "/preferences/template", summary="Read which template a recipient has")
def get_recipient_template(
    caller: Annotated[Caller, permission("preferences:read")], recipient_id: RecipientId, parts: PartsOf
) -> TemplateOfRecipient:
    """Return the template and version that was applied, and which of its values are for this recipient."""
    found = parts.templates.applications.membership(caller.tenant, recipient_id, actor=caller.actor)
    return TemplateOfRecipient(membership=found)


@router.get(
    PREFIX + "/preferences/defaults", summary="Ask which template similar recipients suggest", responses=problems(404)
)
def get_learned_defaults(
    caller: Annotated[Caller, permission("preferences:read")], recipient_id: RecipientId, parts: PartsOf
) -> Evidence:
    """Return the template a new recipient with this profile gets, with the evidence for each; nothing is changed.

    It compares with members of the templates in force who consented to personalization, as this recipient must have.
    Groups below the minimum are not told of. What is chosen is a preference and never a consent.
    """
    try:
        return parts.templates.defaults.evidence(caller.tenant, recipient_id, actor=caller.actor)
    except UnknownRecipient:
        raise Refused(ProblemCode.NOT_FOUND, "There is no profile of this recipient.") from None


@router.put(PREFIX + "/preferences/template", summary="Apply a template to a recipient", responses=problems(404, 409))
def put_recipient_template(
    caller: Annotated[Caller, permission("preferences:write")],
    recipient_id: RecipientId,
    body: Annotated[WhichTemplate, body_of(WhichTemplate)],
    parts: PartsOf,
) -> TemplateOfRecipient:
    """Apply a template in place of the one there is; effective for every decision recorded from now on."""
    applications = parts.templates.applications
    try:
        found = applications.apply(caller.tenant, recipient_id, body.template_id, body.version, actor=caller.actor)
    except UnknownTemplate:
        raise unknown() from None
    except RecipientGone:
        raise Refused(ProblemCode.NOT_FOUND, "This recipient was deleted.") from None
    except NotMet:
        problem = FieldError(field="template_id", expected="a template whose conditions are true of the recipient")
        raise Refused(NOT_MET, "The template's conditions are not true of this recipient.", errors=[problem]) from None
    return TemplateOfRecipient(membership=found)


@router.delete(
    PREFIX + "/preferences/template",
    status_code=204,
    summary="Take a recipient out of their template",
    responses=problems(404),
)
def delete_recipient_template(
    caller: Annotated[Caller, permission("preferences:write")], recipient_id: RecipientId, parts: PartsOf
) -> None:
    """Let the template say nothing to this recipient any more; the tenant's defaults then hold."""
    if not parts.templates.applications.leave(caller.tenant, recipient_id, actor=caller.actor):
        raise Refused(ProblemCode.NOT_FOUND, "This recipient has no template.")


@router.post(
    "/v1/preferences/templates/{template_id}/apply",
    status_code=202,
    summary="Apply a template to many recipients",
    responses=problems(404),
)
def post_template_application(
    caller: Annotated[Caller, permission("preferences:write")],
    template_id: TemplateId,
    body: Annotated[Recipients, body_of(Recipients)],
    parts: PartsOf,
) -> AppliedTemplate:
    """Queue a job that applies a version to each recipient; `GET /v1/jobs/{job_id}/results` has the verdicts."""
    try:
        return parts.templates.applications.submit(
            caller.tenant,
            template_id,
            body.version,
            recipient_ids=body.recipient_ids,
            audience=None,
            actor=caller.actor,
        )
    except UnknownTemplate:
        raise unknown() from None


@router.post(
    "/v1/preferences/templates/{template_id}/audiences/{audience}/apply",
    status_code=202,
    summary="Apply a template to an audience",
    responses=problems(404, 409),
)
@in_lane(Lane.BATCH)
def post_audience_application(
    caller: Annotated[Caller, permission("templates:write")],
    template_id: TemplateId,
    audience: Name,
    body: Annotated[WhichVersion, body_of(WhichVersion)],
    parts: PartsOf,
) -> AppliedTemplate:
    """Queue a job that looks through every recipient with a profile and applies a version to those in the audience."""
    try:
        return parts.templates.applications.submit(
            caller.tenant, template_id, body.version, recipient_ids=None, audience=audience, actor=caller.actor
        )
    except UnknownTemplate:
        raise unknown() from None
    except UnknownAudience:
        raise Refused(ProblemCode.NOT_FOUND, "The template has no audience of this name.") from None
    except TooMany:
        problem = FieldError(field="audience", expected=f"a tenant of at most {MAX_AUDIENCE} recipients")
        raise Refused(AUDIENCE_TOO_LARGE, "Apply to named recipients instead.", errors=[problem]) from None


@router.get(
    "/v1/preferences/template-applications/{application_id}",
    summary="Read an application of a template",
    responses=problems(404),
)
def get_template_application(
    caller: Annotated[Caller, permission("templates:read")], application_id: ApplicationId, parts: PartsOf
) -> AppliedTemplate:
    """Return what was applied, by whom, and how far its jobs are."""
    try:
        return parts.templates.applications.get(caller.tenant, application_id)
    except UnknownApplication:
        raise _unknown_application() from None


@router.post(
    "/v1/preferences/template-applications/{application_id}/roll-back",
    status_code=202,
    summary="Roll an application back",
    responses=problems(404, 409),
)
def post_template_roll_back(
    caller: Annotated[Caller, permission("templates:write")], application_id: ApplicationId, parts: PartsOf
) -> AppliedTemplate:
    """Queue a job that gives everybody it changed the template they had before, unless that was changed since."""
    try:
        return parts.templates.applications.roll_back(caller.tenant, application_id, actor=caller.actor)
    except UnknownApplication:
        raise _unknown_application() from None
    except NotNow:
        problem = FieldError(field="application_id", expected="one that is done and was not rolled back")
        raise Refused(CANNOT_ROLL_BACK, "It cannot be rolled back now.", errors=[problem]) from None


def _unknown_application() -> Refused:
    return Refused(ProblemCode.NOT_FOUND, "There is no such application.")
