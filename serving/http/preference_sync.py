"""``/v1/recipients/{id}/preferences/sync``: edits from several devices, offline too, late, twice and in any order.

Nothing of a request is effective unless all of it was stored; what is answered is effective.
"""

from typing import Annotated

from fastapi import APIRouter, Query

from adapters.postgres.preference_sync import DeviceStatus, LoggedEdit, SyncAnswer
from adapters.postgres.preferences import RecipientGone
from domain.preference_edits import DeviceEdits
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.cursors import NextCursor, PageOf
from serving.http.errors import ProblemCode, Refused, problems
from serving.http.rate_limit import never_limited
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, prefix=PREFIX + "/preferences/sync", tags=["preferences"])
PAGE, MAX_PAGE = 100, 500
Reader = Annotated[Caller, permission("preferences:read")]


class SyncStatus(Frozen):
    """Every device that sent edits, by name."""

    devices: list[DeviceStatus]


class SyncLog(Frozen):
    """Edits in the order in which they were taken in; `next_cursor` is null on the last page."""

    edits: list[LoggedEdit]
    next_cursor: NextCursor


@router.post("", summary="Send a device's edits", responses=problems(404))
@never_limited
def post_sync(
    caller: Annotated[Caller, permission("preferences:write")],
    recipient_id: RecipientId,
    body: Annotated[DeviceEdits, body_of(DeviceEdits)],
    parts: PartsOf,
) -> SyncAnswer:
    """Take edits in, and answer with a verdict on each and with what holds now for each scope that was named.

    A denial beats an allow that did not know of it, whatever the clocks say; only an act of the recipient that knew
    of the denial lifts it. Sending the same again changes nothing. A verdict `number_reused`, `seen_unknown`,
    `not_allowed` or `too_many` means that the edit was not taken in: make another, with the `seen` of the answer.
    """
    try:
        now = parts.clock.now(caller.tenant)
        return parts.preference_sync.take(caller.tenant, recipient_id, body, actor=caller.actor, now=now)
    except RecipientGone:
        raise Refused(ProblemCode.NOT_FOUND, "This recipient was deleted.") from None


@router.get("", summary="Read what arrived from each device")
def get_sync(caller: Reader, recipient_id: RecipientId, parts: PartsOf) -> SyncStatus:
    """Return for each device when it was last heard of, up to which number all arrived, and what is missing.

    After a failure a device sends again what is missing and everything above `highest`; when unsure, everything.
    """
    return SyncStatus(devices=parts.preference_sync.status(caller.tenant, recipient_id, actor=caller.actor))


@router.get("/log", summary="Read the edits that were taken in")
def get_sync_log(
    caller: Reader,
    recipient_id: RecipientId,
    parts: PartsOf,
    page: PageOf,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = PAGE,
) -> SyncLog:
    """Return every edit with what became of it when it arrived, oldest first; `server`'s were stored directly."""
    after = page.place(caller, int) or 0
    edits = parts.preference_sync.log(caller.tenant, recipient_id, after=after, limit=limit, actor=caller.actor)
    return SyncLog(edits=edits, next_cursor=page.following(caller, edits, limit, lambda edit: edit.edit_id))
