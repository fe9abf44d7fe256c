"""``GET /v1/audit``: who did what, who read whose data and why; for a privacy officer, and itself audited."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import JsonValue

from adapters.postgres.audit_trail import AuditRow, Wanted
from domain.events import Identifier
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.routes import Route

router = APIRouter(route_class=Route, tags=["audit"])
PAGE = 100
MAX_PAGE = 1_000
Recipient = Annotated[Identifier | None, Query(description="Only what concerns this recipient, by your id.")]
Action = Annotated[
    str | None, Query(pattern=r"^[a-z_]{1,40}\.[a-z_]{1,40}$", description="Only this action, such as `profile.read`.")
]
Cursor = Annotated[
    int | None, Query(ge=1, lt=2**63, description="The `next` of the page before; absent begins with the newest.")
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
    next: int | None


@router.get("/v1/audit", summary="Read the audit trail")
def get_audit(
    caller: Annotated[Caller, permission("audit:read")],
    parts: PartsOf,
    recipient_id: Recipient = None,
    action: Action = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = PAGE,
) -> AuditPage:
    """Return what was done, newest first: all of it, about one recipient, or one action.

    `GET /v1/audit?recipient_id=r-1` answers who read or changed a person's data. `next` is null on the last page.
    """
    wanted = Wanted(recipient_id=recipient_id, action=action, before=cursor)
    rows = parts.audit_trail.page(caller.tenant, wanted, limit=limit, actor=caller.actor)
    following = rows[-1].audit_id if len(rows) == limit else None
    return AuditPage(entries=[_shown(row) for row in rows], next=following)


def _shown(row: AuditRow) -> AuditedAction:
    return AuditedAction.model_validate(row.model_dump())
