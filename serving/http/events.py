"""``POST /v1/events``: one event or a batch; every item gets its own verdict, and only after the commit.

A single event that is refused is a 409 or 422 and a dead letter; a body that cannot be read is neither counted nor
stored.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field

from domain.events import MAX_EVENT_BATCH, EngagementEvent
from domain.ingest import Counts, Item, ItemVerdict, Rejection, parse
from domain.values import Frozen
from serving import metrics
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import FieldError, ProblemCode, Refused, problems
from serving.http.routes import Route
from serving.http.strict_body import BodyIs, Document
from serving.parts import Parts

router = APIRouter(route_class=Route, tags=["events"])
ORIGIN = "api"


class EventBatch(Frozen):
    """Several events in one request."""

    events: Annotated[list[EngagementEvent], Field(min_length=1, max_length=MAX_EVENT_BATCH)]


class IngestAnswer(Frozen):
    """What became of every item, committed before this was written."""

    counts: Counts
    verdicts: list[ItemVerdict] = Field(description="In the order of the request; positions count from 0.")


@router.post(
    "/v1/events",
    status_code=202,
    summary="Record one event, or up to 1,000",
    responses=problems(409),
    response_model_exclude_none=True,
)
def post_events(
    caller: Annotated[Caller, permission("events:write")],
    document: Annotated[Document, Depends(BodyIs(EngagementEvent, EventBatch))],
    parts: PartsOf,
) -> IngestAnswer:
    """Store events durably; repeating a request stores nothing twice and says so.

    `events` in the body makes it a batch: it is answered with 202, and each item's verdict is stored, duplicate,
    conflict (another event has this source and id) or rejected (with the field and what was expected). A single
    event is answered with 202, or with 409 or 422 when it is refused. Refused items are kept as dead letters.
    """
    many = _batch(document.value)
    items = [parse(value, position) for position, value in enumerate(many if many is not None else [document.value])]
    verdicts = _commit(parts, caller, items)
    if many is None and (why := verdicts[0].rejection) is not None:
        raise _refused(why)
    return IngestAnswer(counts=Counts.of(verdicts), verdicts=verdicts)


def _batch(body: Any) -> list[Any] | None:
    """Return the items of a batch, or None when the body is one event.

    Raises:
        Refused: 422, it is a batch, but not one of 1 to 1,000 events and nothing else.
    """
    if not isinstance(body, dict) or "events" not in body:
        return None
    events = body["events"]
    if len(body) > 1 or not isinstance(events, list) or not 1 <= len(events) <= MAX_EVENT_BATCH:
        expected = f"a list of 1 to {MAX_EVENT_BATCH} events, and no other field beside it"
        error = FieldError(field="events", expected=expected)
        raise Refused(ProblemCode.INVALID, f"This batch is not {expected}; nothing was stored.", errors=[error])
    return events


def _commit(parts: Parts, caller: Caller, items: list[Item]) -> list[ItemVerdict]:
    tenant = caller.tenant
    verdicts = parts.event_log.append(
        tenant, items, origin=ORIGIN, received_at=parts.clock.real(), now=parts.clock.now(tenant)
    )
    metrics.count_ingest(tenant.tenant, Counts.of(verdicts))
    return verdicts


def _refused(why: Rejection) -> Refused:
    error = FieldError(field=why.field or "", expected=why.expected)
    return Refused(why.code, "The event was not stored; it is kept as a dead letter.", errors=[error])
