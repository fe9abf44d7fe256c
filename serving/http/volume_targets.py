"""``/v1/volume-targets``: how many marketing messages this tenant wants to send, in versions."""

from typing import Annotated

from fastapi import APIRouter, Response

from adapters.postgres.versioned_documents import Published
from domain.values import Frozen
from domain.volume_targets import VolumeTargets
from serving.http.auth import Caller, PartsOf, permission
from serving.http.conditional import conditional
from serving.http.errors import problems
from serving.http.problem_codes import declared
from serving.http.routes import Route
from serving.http.strict_body import body_of
from serving.http.versions import IfMatch, refusing, seen, tag

router = APIRouter(route_class=Route, prefix="/v1/volume-targets", tags=["contact budget"])
VERSION_CONFLICT = declared(
    "volume_targets.version_conflict", 412, "The volume targets have changed since the version you saw."
)


class PublishedTargets(Frozen):
    """A tenant's volume targets in one of their versions; version 0 has none."""

    version: int
    volume_targets: VolumeTargets


@router.get("", summary="Read the volume targets")
@conditional
def get_volume_targets(
    caller: Annotated[Caller, permission("types:read")], parts: PartsOf, response: Response
) -> PublishedTargets:
    """Return the targets in force; the version is the `ETag` too."""
    return _tagged(parts.volume_targets.get(caller.tenant), response)


@router.put("", summary="Publish the volume targets", responses=problems(412))
def put_volume_targets(
    caller: Annotated[Caller, permission("contact_budget:write")],
    body: Annotated[VolumeTargets, body_of(VolumeTargets)],
    parts: PartsOf,
    response: Response,
    if_match: IfMatch = None,
) -> PublishedTargets:
    """Put targets in force in place of all targets before; the prices follow within minutes.

    A target refuses nobody: it is a price that every marketing message must be worth more than.
    """
    with refusing(VERSION_CONFLICT, "set of targets"):
        published = parts.volume_targets.publish(caller.tenant, body, actor=caller.actor, if_version=seen(if_match))
    return _tagged(published, response)


def _tagged(published: Published[VolumeTargets], response: Response) -> PublishedTargets:
    tag(response, published.version)
    return PublishedTargets(version=published.version, volume_targets=published.document)
