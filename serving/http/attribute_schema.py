"""``/v1/admin/attribute-schema``: what the custom attributes of this tenant's profiles look like."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from adapters.postgres.attribute_schemas import SchemaChanged, SetAttributeSchema
from domain.attribute_schemas import AttributeSchema, AttributesRefused
from serving.http.auth import Caller, PartsOf, permission
from serving.http.conditional import conditional
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.problem_codes import declared
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, prefix="/v1/admin/attribute-schema", tags=["administration"])
VERSION_CONFLICT = declared(
    "attribute_schema.version_conflict", 412, "The schema of attributes has changed since the version you saw."
)
IfMatch = Annotated[str | None, Header(alias="If-Match", pattern=r'^"\d{1,9}"$', description="The ETag you saw.")]


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
    seen = int(if_match.strip('"')) if if_match is not None else None
    try:
        kept = parts.attribute_schemas.put(caller.tenant, body, actor=caller.actor, if_version=seen)
    except SchemaChanged:
        problem = FieldError(field="If-Match", expected="the schema's present ETag")
        raise Refused(VERSION_CONFLICT, "The schema has changed since you read it.", errors=[problem]) from None
    return _tagged(kept, response)


def refused_attributes(error: AttributesRefused, *, below: str = "") -> Refused:
    """Return the refusal of attributes that are not as the schema says.

    Args:
        error: which they are.
        below: the field of the request that holds the profile, with a dot.
    """
    faults = [FieldError(field=below + each.field, expected=each.expected) for each in error.faults]
    return Refused(ProblemCode.INVALID, "The attributes are not as the tenant's schema says.", errors=faults)


def _tagged(kept: SetAttributeSchema, response: Response) -> SetAttributeSchema:
    response.headers["ETag"] = f'"{kept.version}"'
    return kept
