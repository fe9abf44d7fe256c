"""``/v1/admin/attribute-schema``: what the custom attributes of this tenant's profiles look like."""

from typing import Annotated

from fastapi import APIRouter, Response

from adapters.postgres.versioned_documents import Published
from domain.attribute_schemas import AttributeSchema, AttributesRefused
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.conditional import conditional
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.problem_codes import declared
from serving.http.routes import Route
from serving.http.strict_body import body_of
from serving.http.versions import IfMatch, refusing, seen, tag

router = APIRouter(route_class=Route, prefix="/v1/admin/attribute-schema", tags=["administration"])
VERSION_CONFLICT = declared(
    "attribute_schema.version_conflict", 412, "The schema of attributes has changed since the version you saw."
)


class SetAttributeSchema(Frozen):
    """The schema in one of its versions; version 0 takes every attribute."""

    version: int
    attribute_schema: AttributeSchema


@router.get("", summary="Read the schema of attributes")
@conditional
def get_attribute_schema(
    caller: Annotated[Caller, permission("attribute_schema:read")], parts: PartsOf, response: Response
) -> SetAttributeSchema:
    """Return the schema in force; version 0 takes every attribute. The version is the `ETag` too."""
    return _tagged(parts.attribute_schemas.get(caller.tenant), response)


@router.put("", summary="Set the schema of attributes", responses=problems(412))
def put_attribute_schema(
    caller: Annotated[Caller, permission("attribute_schema:write")],
    body: Annotated[AttributeSchema, body_of(AttributeSchema)],
    parts: PartsOf,
    response: Response,
    if_match: IfMatch = None,
) -> SetAttributeSchema:
    """Say what attributes look like: every later change of attributes is held to it. An empty object takes all again.

    Profiles that are stored stay as they are, and what is changed beside their attributes is not held to it.
    """
    with refusing(VERSION_CONFLICT, "schema"):
        kept = parts.attribute_schemas.publish(caller.tenant, body, actor=caller.actor, if_version=seen(if_match))
    return _tagged(kept, response)


def refused_attributes(error: AttributesRefused, *, below: str = "") -> Refused:
    """Return the refusal of attributes that are not as the schema says.

    Args:
        error: which they are.
        below: the field of the request that holds the profile, with a dot.
    """
    faults = [FieldError(field=below + each.field, expected=each.expected) for each in error.faults]
    return Refused(ProblemCode.INVALID, "The attributes are not as the tenant's schema says.", errors=faults)


def _tagged(kept: Published[AttributeSchema], response: Response) -> SetAttributeSchema:
    tag(response, kept.version)
    return SetAttributeSchema(version=kept.version, attribute_schema=kept.document)
