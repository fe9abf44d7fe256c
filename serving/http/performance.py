"""``/v1/performance``: what came of messages by day and slice; no group is told of that is too small."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from domain.events import Name
from domain.performance import Performance, Slicing
from domain.values import Moment
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.routes import Route

router = APIRouter(route_class=Route, prefix="/v1/performance", tags=["performance"])
LONGEST = timedelta(days=92)
USUAL = timedelta(days=28)


@router.get("/{by}", summary="Read what came of messages", responses=problems(422))
def get_performance(
    caller: Annotated[Caller, permission("performance:read")],
    parts: PartsOf,
    by: Slicing,
    since: Annotated[Moment | None, Query(description="The first moment; four weeks before until without it.")] = None,
    until: Annotated[Moment | None, Query(description="Before this moment; now without it.")] = None,
    message_type: Annotated[Name | None, Query(description="Only messages of this type.")] = None,
) -> Performance:
    """Return messages sent and what came of them, by day and by channel, content or hour of the recipient's day.

    `timing` counts only messages whose hour was drawn among several, and weighs each by the chance it was drawn with.
    Groups of fewer than 20 people are withheld and counted.
    """
    end = until if until is not None else parts.clock.now(caller.tenant)
    start = since if since is not None else end - USUAL
    if not timedelta(0) < end - start <= LONGEST:
        problem = FieldError(field="query.since", expected=f"a moment before until, at most {LONGEST.days} days")
        raise Refused(ProblemCode.INVALID, "These moments do not fit together.", errors=[problem])
    return parts.performances.read(caller.tenant, by, since=start, until=end, message_type=message_type)
