"""``/v1/brand-rules``: the words that each message of this tenant must or must not hold, in versions."""

from typing import Annotated

from fastapi import APIRouter, Response

from adapters.postgres.versioned_documents import Published
from domain.content_lint import BrandRules
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.conditional import conditional
from serving.http.errors import problems
from serving.http.problem_codes import declared
from serving.http.routes import Route
from serving.http.strict_body import body_of
from serving.http.versions import IfMatch, refusing, seen, tag

router = APIRouter(route_class=Route, prefix="/v1/brand-rules", tags=["message types"])
VERSION_CONFLICT = declared(
    "brand_rules.version_conflict", 412, "The brand rules have changed since the version you saw."
)


class PublishedBrand(Frozen):
    """A tenant's brand rules in one of their versions; version 0 has none."""

    version: int
    brand_rules: BrandRules


@router.get("", summary="Read the brand rules")
@conditional
def get_brand_rules(
    caller: Annotated[Caller, permission("types:read")], parts: PartsOf, response: Response
) -> PublishedBrand:
    """Return the rules in force; the version is the `ETag` too."""
    return _tagged(parts.brand_rules.get(caller.tenant), response)


@router.put("", summary="Publish the brand rules", responses=problems(412))
def put_brand_rules(
    caller: Annotated[Caller, permission("types:write")],
    body: Annotated[BrandRules, body_of(BrandRules)],
    parts: PartsOf,
    response: Response,
    if_match: IfMatch = None,
) -> PublishedBrand:
    """Put rules in force for every message type that is published from now on; an equal set is no new version.

    Types that are in force already stay: publish them again to have them looked at.
    """
    with refusing(VERSION_CONFLICT, "set of rules"):
        published = parts.brand_rules.publish(caller.tenant, body, actor=caller.actor, if_version=seen(if_match))
    return _tagged(published, response)


def _tagged(published: Published[BrandRules], response: Response) -> PublishedBrand:
    tag(response, published.version)
    return PublishedBrand(version=published.version, brand_rules=published.document)
