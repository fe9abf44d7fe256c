"""``/v1/business-rules``: what this tenant itself excludes, requires and favours, in versions."""

from typing import Annotated

from fastapi import APIRouter, Response

from adapters.postgres.versioned_documents import Published
from domain.business_rules import BusinessRules
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.conditional import conditional
from serving.http.errors import problems
from serving.http.problem_codes import declared
from serving.http.routes import Route
from serving.http.strict_body import body_of
from serving.http.versions import IfMatch, refusing, seen, tag

router = APIRouter(route_class=Route, prefix="/v1/business-rules", tags=["business rules"])
VERSION_CONFLICT = declared(
    "business_rules.version_conflict", 412, "The business rules have changed since the version you saw."
)


class PublishedRules(Frozen):
    """A tenant's business rules in one of their versions; version 0 has none."""

    version: int
    business_rules: BusinessRules


@router.get("", summary="Read the business rules")
@conditional
def get_business_rules(
    caller: Annotated[Caller, permission("business_rules:read")], parts: PartsOf, response: Response
) -> PublishedRules:
    """Return the rules in force; the version is the `ETag` too."""
    return _tagged(parts.business_rules.get(caller.tenant), response)


@router.put("", summary="Publish the business rules", responses=problems(412))
def put_business_rules(
    caller: Annotated[Caller, permission("business_rules:write")],
    body: Annotated[BusinessRules, body_of(BusinessRules)],
    parts: PartsOf,
    response: Response,
    if_match: IfMatch = None,
) -> PublishedRules:
    """Put rules in force for every decision from now on, in place of all rules before; an equal set is no new version.

    They act before any probability is computed, and open nothing that the law, the recipient or a budget closed.
    """
    with refusing(VERSION_CONFLICT, "set of rules"):
        published = parts.business_rules.publish(caller.tenant, body, actor=caller.actor, if_version=seen(if_match))
    return _tagged(published, response)


def _tagged(published: Published[BusinessRules], response: Response) -> PublishedRules:
    tag(response, published.version)
    return PublishedRules(version=published.version, business_rules=published.document)
