"""``/v1/admin/service-levels``: which stages each level stands for in this tenant, and the time they may take."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from adapters.postgres.service_levels import LevelChanged, SetLevel
from domain.service_levels import LevelName, ServiceLevel
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.conditional import conditional
from serving.http.errors import FieldError, Refused, problems
from serving.http.problem_codes import declared
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, prefix="/v1/admin/service-levels", tags=["administration"])
VERSION_CONFLICT = declared(
    "service_level.version_conflict", 412, "The service level has changed since the version you saw."
)
Reader = Annotated[Caller, permission("service_levels:read")]
IfMatch = Annotated[str | None, Header(alias="If-Match", pattern=r'^"\d{1,9}"$', description="The ETag you saw.")]


class LevelList(Frozen):
    """Every level, from the least to the most."""

    levels: list[SetLevel]


@router.get("", summary="List the service levels")
def get_service_levels(caller: Reader, parts: PartsOf) -> LevelList:
    """Return what each level stands for; version 0 is what it does unless you say otherwise."""
    return LevelList(levels=parts.service_levels.all(caller.tenant))


@router.get("/{level}", summary="Read a service level")
@conditional
def get_service_level(caller: Reader, level: LevelName, parts: PartsOf, response: Response) -> SetLevel:
    """Return what a level stands for; the version is the `ETag` too."""
    return _tagged(parts.service_levels.get(caller.tenant, level), response)


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
    seen = int(if_match.strip('"')) if if_match is not None else None
    try:
        kept = parts.service_levels.put(caller.tenant, level, body, actor=caller.actor, if_version=seen)
    except LevelChanged:
        problem = FieldError(field="If-Match", expected="the level's present ETag")
        raise Refused(VERSION_CONFLICT, "The level has changed since you read it.", errors=[problem]) from None
    return _tagged(kept, response)


def _tagged(kept: SetLevel, response: Response) -> SetLevel:
    response.headers["ETag"] = f'"{kept.version}"'
    return kept
