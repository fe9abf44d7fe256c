"""``/v1/retention``: how long data is kept; a tenant shortens the installation's periods, a recipient their own."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from domain.retention import NotShorter, Retained
from domain.values import Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import FieldError, Refused, problems
from serving.http.problem_codes import declared
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, tags=["privacy"])
NOT_SHORTER = declared("retention.not_shorter", 409, "A period of retention is only ever shortened.")
MOST_DAYS = 36_500


class Period(Frozen):
    """A period for one kind of data."""

    what: Retained
    days: int = Field(ge=1, le=MOST_DAYS)


class RecipientPeriod(Frozen):
    """A recipient's own period, for their events, decisions and dead letters."""

    days: int = Field(ge=1, le=MOST_DAYS)


class Periods(Frozen):
    """The periods that hold, in days."""

    days: dict[Retained, int]


@router.get("/v1/retention", summary="Read how long data is kept")
def get_retention(caller: Annotated[Caller, permission("privacy:read")], parts: PartsOf) -> Periods:
    """Return the period of each kind of data."""
    return Periods(days=parts.retention.periods(caller.tenant))


@router.put("/v1/retention", summary="Shorten how long data is kept", responses=problems(409))
def put_retention(
    caller: Annotated[Caller, permission("privacy:write")], body: Annotated[Period, body_of(Period)], parts: PartsOf
) -> Periods:
    """Shorten one period of the tenant; what is older goes with the next run of the group `retention`."""
    try:
        return Periods(days=parts.retention.shorten(caller.tenant, body.what, body.days, actor=caller.actor))
    except NotShorter as error:
        raise _refused(error) from None


@router.put(PREFIX + "/retention", summary="Shorten how long a recipient's data is kept", responses=problems(409))
def put_recipient_retention(
    caller: Annotated[Caller, permission("privacy:write")],
    recipient_id: RecipientId,
    body: Annotated[RecipientPeriod, body_of(RecipientPeriod)],
    parts: PartsOf,
) -> RecipientPeriod:
    """Shorten the recipient's own period; it is never made longer again."""
    try:
        days = parts.retention.shorten_for(caller.tenant, recipient_id, body.days, actor=caller.actor)
    except NotShorter as error:
        raise _refused(error) from None
    return RecipientPeriod(days=days)


def _refused(error: NotShorter) -> Refused:
    problem = FieldError(field="days", expected=str(error))
    return Refused(NOT_SHORTER, "A period of retention is only ever shortened.", errors=[problem])
