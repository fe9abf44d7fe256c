"""``/v1/plans``: a message to an audience within budgets, optimised as a whole, as a job whose items are decisions."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from adapters.postgres.plans import UnknownPlan
from domain.plans import PlanItem, PlanRequest, PlanStatus, TooLarge, late_window
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.cursors import NextCursor, PageOf
from serving.http.decision_requests import UNKNOWN_TYPE
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, prefix="/v1/plans", tags=["plans"])
Reader = Annotated[Caller, permission("plans:read")]
PlanId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$")]
MAX_PAGE = 1_000


class PlanItems(Frozen):
    """Items in order of position; ``next_cursor`` is null when these were the last so far."""

    items: list[PlanItem]
    next_cursor: NextCursor


@router.post("", status_code=202, summary="Plan a message to an audience", responses=problems(422))
def post_plan(
    caller: Annotated[Caller, permission("plans:write")],
    body: Annotated[PlanRequest, body_of(PlanRequest)],
    parts: PartsOf,
) -> PlanStatus:
    """Queue a plan: who of the audience gets the message, on which channel, in which slot of the window.

    It is the best the budgets allow, with the gap to the relaxed optimum and the price of each limit. Each item then
    becomes a decision with gates, probabilities and a record of its own. `recipient_id` with `per_recipient` plans
    several messages for one person. A kill at any moment neither loses nor repeats an item.
    """
    tenant = caller.tenant
    if all(each.definition.type != body.message.type for each in parts.templates.types.all(tenant)):
        problem = FieldError(field="message.type", expected="the name of a published message type")
        raise Refused(UNKNOWN_TYPE, "No message type of this name is published.", errors=[problem])
    asked_at = parts.clock.now(tenant)
    if (expected := late_window(body, asked_at)) is not None:
        raise _invalid("window.until", expected)
    document = body.model_dump(mode="json", by_alias=True)
    try:
        return parts.plans.submit(tenant, document, asked_at=asked_at.isoformat(), actor=caller.actor)
    except TooLarge as error:
        raise _invalid("audience", str(error)) from None


@router.get("/{plan_id}", summary="Read how a plan stands", responses=problems(404))
def get_plan(caller: Reader, plan_id: PlanId, parts: PartsOf) -> PlanStatus:
    """Return the plan's progress and, once the audience was optimised, what it came to."""
    try:
        return parts.plans.get(caller.tenant, plan_id)
    except UnknownPlan:
        raise _unknown() from None


@router.get("/{plan_id}/items", summary="Read a plan's items", responses=problems(404))
def get_plan_items(
    caller: Reader,
    plan_id: PlanId,
    parts: PartsOf,
    page: PageOf,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = MAX_PAGE,
) -> PlanItems:
    """Return a page of items; whom one is about is in the record of its decision, as a pseudonym."""
    place = page.place(caller, int)
    try:
        found = parts.plans.items(caller.tenant, plan_id, after=-1 if place is None else place, limit=limit)
    except UnknownPlan:
        raise _unknown() from None
    return PlanItems(items=found, next_cursor=page.following(caller, found, limit, lambda each: each.position))


def _invalid(field: str, expected: str) -> Refused:
    problem = FieldError(field=field, expected=expected)
    return Refused(ProblemCode.INVALID, "This cannot be planned as it is asked for.", errors=[problem])


def _unknown() -> Refused:
    return Refused(ProblemCode.NOT_FOUND, "There is no such plan.")
