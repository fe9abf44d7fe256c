"""``GET /v1/audit``: who did what, who read whose data and why; for a privacy officer, and itself audited."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import JsonValue

from adapters.postgres.audit_trail import AuditRow, Wanted
from domain.events import Identifier
from domain.values import Frozen
from serving.admission import Lane
from serving.http.auth import Caller, PartsOf, permission
from serving.http.cursors import NextCursor, PageOf
from serving.http.routes import Route, in_lane

router = APIRouter(route_class=Route, tags=["audit"])
PAGE = 100
MAX_PAGE = 1_000
Recipient = Annotated[Identifier | None, Query(description="Only what concerns this recipient, by your id.")]
Action = Annotated[
    str | None, Query(pattern=r"^[a-z_]{1,40}\.[a-z_]{1,40}$", description="Only this action, such as `profile.read`.")
]


class AuditedAction(Frozen):
    """One row of the trail; `old` and `new` are null where nothing changed, or erased with the subject."""

    audit_id: int
    recorded_at: datetime
    action: str
    actor: str
    object: str
    subject_key: str | None
    reason: str | None
    detail: dict[str, JsonValue]
    context: dict[str, JsonValue]
    old: JsonValue
    new: JsonValue
    values_erased: bool


class AuditPage(Frozen):
    """Rows, newest first."""

    entries: list[AuditedAction]
    next_cursor: NextCursor


@router.get("/v1/audit", summary="Read the audit trail")
@in_lane(Lane.BATCH)
def get_audit(
    caller: Annotated[Caller, permission("audit:read")],
    parts: PartsOf,
    page: PageOf,
    recipient_id: Recipient = None,
    action: Action = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = PAGE,
) -> AuditPage:
    """Return what was done, newest first: all of it, about one recipient, or one action.

    `GET /v1/audit?recipient_id=r-1` answers who read or changed a person's data. `next_cursor` is null at the end.
    """
    wanted = Wanted(recipient_id=recipient_id, action=action, before=page.place(caller, int))
    rows = parts.audit_trail.page(caller.tenant, wanted, limit=limit, actor=caller.actor)
    following = page.following(caller, rows, limit, lambda row: row.audit_id)
    return AuditPage(entries=[_shown(row) for row in rows], next_cursor=following)


def _shown(row: AuditRow) -> AuditedAction:
    return AuditedAction.model_validate(row.model_dump())
