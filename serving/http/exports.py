"""``/v1/recipients/{id}/exports``: a copy of a person's data (GDPR Art. 15 and 20), fetched once with a link.

A GET of the link shows a page with a button: what looks at links on the way, such as a mail gateway, uses none up.
"""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from fastapi.responses import StreamingResponse

from adapters.personal_data.export_place import path_of
from adapters.personal_data.exporter import sealed_file
from adapters.postgres.exports import Fetch, NotReady, UnknownExport
from adapters.postgres.subject_keys import KeyDestroyed
from adapters.postgres.tenants import UnknownTenant
from domain.exports import Export, ExportKind
from domain.values import Frozen, Moment
from serving.admission import Lane
from serving.http.auth import Caller, PartsOf, own_part, permission, public
from serving.http.errors import ProblemCode, Refused, problems
from serving.http.problem_codes import declared
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route, in_lane
from serving.http.strict_body import body_of
from serving.parts import Parts

router = APIRouter(route_class=Route, tags=["privacy"])
fetching = APIRouter(include_in_schema=False, dependencies=[Depends(public)])
NOT_READY = declared("export.not_ready", 409, "The export is not written yet, was fetched, or is gone.")
ExportId = Annotated[str, Path(max_length=64)]
LINKS = "/d/"
ACTOR = "link"

_HEADERS = {"Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'"}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="robots" content="noindex"><title>Your data</title></head>
<body><main><h1>Your data</h1>{body}</main></body></html>
"""
_ASK = _PAGE.format(body="<p>This link works once.</p><form method='post'><button>Download</button></form>")
_GONE = _PAGE.format(body="<p>This link does not work: it was used, is too old, or never was one.</p>")


class ExportRequest(Frozen):
    """What is exported: everything there is, or what the person gave or did, to take along."""

    kind: ExportKind


class ExportLink(Frozen):
    """An address that gives the file out once."""

    url: str
    expires_at: Moment


@router.post(PREFIX + "/exports", status_code=202, summary="Export a recipient's data", responses=problems(404))
@in_lane(Lane.BATCH)
def post_export(
    caller: Annotated[Caller, permission("exports:write")],
    recipient_id: RecipientId,
    body: Annotated[ExportRequest, body_of(ExportRequest)],
    parts: PartsOf,
) -> Export:
    """Have the data written to a sealed file, as JSON-LD; an erasure meanwhile cancels it."""
    try:
        return parts.exports.request(caller.tenant, recipient_id, body.kind, actor=caller.actor)
    except KeyDestroyed:
        raise Refused(ProblemCode.NOT_FOUND, "This recipient was erased; there is nothing to export.") from None


@router.get("/v1/exports/{export_id}", summary="Read how far an export is", responses=problems(404))
@own_part
def get_export(caller: Annotated[Caller, permission("exports:read")], export_id: ExportId, parts: PartsOf) -> Export:
    """Tell whether the file is ready; it waits for 24 hours to be fetched, once."""
    try:
        return parts.exports.get(caller.tenant, export_id, subject=caller.subject_key)
    except UnknownExport:
        raise _unknown() from None


@router.post(
    "/v1/exports/{export_id}/link", status_code=201, summary="Make the link to an export", responses=problems(404, 409)
)
@own_part
def post_export_link(
    caller: Annotated[Caller, permission("exports:write")], export_id: ExportId, parts: PartsOf
) -> ExportLink:
    """Return an address that gives the file out once, without a credential; an earlier one is good no more."""
    try:
        token, until = parts.exports.link(
            caller.tenant, export_id, actor=caller.actor, now=parts.clock.real(), subject=caller.subject_key
        )
    except UnknownExport:
        raise _unknown() from None
    except NotReady as error:
        raise Refused(NOT_READY, f"{str(error).capitalize()}.") from None
    return ExportLink(url=f"{parts.settings.public_url.rstrip('/')}{LINKS}{token}", expires_at=until)


@fetching.api_route(LINKS + "{token}", methods=["GET", "HEAD"])
def show(token: str) -> Response:  # noqa: ARG001 - the same page for every token
    """Return the page with the button; nothing is read or changed."""
    return Response(_ASK, 200, _HEADERS, media_type="text/html")


@fetching.post(LINKS + "{token}")
def fetch(token: str, parts: PartsOf) -> Response:
    """Give the file out, once; it is deleted when it was sent, however far that came."""
    found = _fetched(token, parts)
    if found is None:
        return Response(_GONE, 404, _HEADERS, media_type="text/html")
    named = {"Content-Disposition": f'attachment; filename="{found.kind}-{found.export_id}.jsonld"'}
    return StreamingResponse(_pieces(found, parts), headers=_HEADERS | named, media_type="application/ld+json")


def _fetched(token: str, parts: Parts) -> Fetch | None:
    whose = parts.exports.tenant_of(token)
    if whose is None:
        return None
    try:
        tenant = parts.tenants.get(whose)
    except UnknownTenant:
        return None
    return parts.exports.fetch(tenant, token, actor=ACTOR, now=parts.clock.real())


def _pieces(found: Fetch, parts: Parts) -> Iterator[bytes]:
    data_dir = parts.settings.data_dir
    try:
        yield from sealed_file(data_dir, found.tenant, found.export_id, found.key).pieces(found.chunks)
    finally:
        path_of(data_dir, found.export_id).unlink(missing_ok=True)


def _unknown() -> Refused:
    return Refused(ProblemCode.NOT_FOUND, "There is no such export.")
