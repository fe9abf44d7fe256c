"""``/v1/admin/service-levels``: which stages each level stands for in this tenant, and the time they may take."""

from typing import Annotated

from fastapi import APIRouter, Response

from adapters.postgres.versioned_documents import Published
from domain.service_levels import LevelName, ServiceLevel
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.conditional import conditional
from serving.http.errors import problems
from serving.http.problem_codes import declared
from serving.http.routes import Route
from serving.http.strict_body import body_of
from serving.http.versions import IfMatch, refusing, seen, tag

router = APIRouter(route_class=Route, prefix="/v1/admin/service-levels", tags=["administration"])
VERSION_CONFLICT = declared(
    "service_level.version_conflict", 412, "The service level has changed since the version you saw."
)
Reader = Annotated[Caller, permission("service_levels:read")]


class SetLevel(Frozen):
    """A level in one of its versions; version 0 is what it stands for unless the tenant says otherwise."""

    level: LevelName
    version: int
    definition: ServiceLevel


class LevelList(Frozen):
    """Every level, from the least to the most."""

    levels: list[SetLevel]


@router.get("", summary="List the service levels")
def get_service_levels(caller: Reader, parts: PartsOf) -> LevelList:
    """Return what each level stands for; version 0 is what it does unless you say otherwise."""
    found = parts.service_levels.all(caller.tenant)
    return LevelList(levels=[_set(level, kept) for level, kept in found.items()])


@router.get("/{level}", summary="Read a service level")
@conditional
def get_service_level(caller: Reader, level: LevelName, parts: PartsOf, response: Response) -> SetLevel:
    """Return what a level stands for; the version is the `ETag` too."""
    return _tagged(level, parts.service_levels.get(caller.tenant, level), response)


@router.put("/{level}", summary="Set a service level", responses=problems(412))
def put_service_level(
    caller: Annotated[Caller, permission("service_levels:write")],
    level: LevelName,
    body: Annotated[ServiceLevel, body_of(ServiceLevel)],
    parts: PartsOf,
    response: Response,
    if_match: IfMatch = None,
) -> SetLevel:
    """Say which stages the level stands for and how long they may take; an equal one makes no new version.

    Stages need others: a channel, a variant or a time is chosen by a score. The gates are in every level.
    """
    with refusing(VERSION_CONFLICT, "level"):
        kept = parts.service_levels.put(caller.tenant, level, body, actor=caller.actor, if_version=seen(if_match))
    return _tagged(level, kept, response)


def _tagged(level: LevelName, kept: Published[ServiceLevel], response: Response) -> SetLevel:
    tag(response, kept.version)
    return _set(level, kept)


def _set(level: LevelName, kept: Published[ServiceLevel]) -> SetLevel:
    return SetLevel(level=level, version=kept.version, definition=kept.document)
