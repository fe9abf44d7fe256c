"""``/v1/recipients/{id}/changes``: a stream of server-sent events that tells when something about a recipient changed.

It says what changed and to which version, never the value. ``Last-Event-ID`` resumes it without a gap.
"""

from collections.abc import Callable
from typing import Annotated

import anyio
from fastapi import APIRouter, Header
from starlette.responses import StreamingResponse
from starlette.types import Send

from domain.changes import kinds_for
from serving.change_streams import TooManyStreams
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import ProblemCode, Refused, unavailable
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route

router = APIRouter(route_class=Route, prefix=PREFIX, tags=["recipients"])
Reader = Annotated[Caller, permission("changes:read")]
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", pattern=r"^\d{1,18}$", description="The id of the last event you handled."),
]
MEDIA_TYPE = "text/event-stream"
_EXTRA_SECONDS = 10.0


class EventStream(StreamingResponse):
    """Server-sent events; whoever does not read them is cut off when the stream's time is up."""

    media_type = MEDIA_TYPE
    lifetime_seconds = 0.0
    forget: Callable[[], None]

    async def stream_response(self, send: Send) -> None:
        """Send the events."""
        try:
            with anyio.move_on_after(self.lifetime_seconds + _EXTRA_SECONDS):
                await super().stream_response(send)
        finally:
            self.forget()


@router.get(
    "/changes",
    summary="Listen to what changes about a recipient",
    response_class=EventStream,
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}},
)
async def listen(
    caller: Reader, recipient_id: RecipientId, parts: PartsOf, last_event_id: LastEventId = None
) -> EventStream:
    """Send an event for every change of profile, consents, channel switches, suppressions or preferences.

    `ready` says that from its id on nothing is missed, so read what holds after it; `reset` that what you have not
    seen is not kept any more. Lines that start with a colon are heartbeats. A stream ends after some minutes; come
    back with `Last-Event-ID`. A key is told only of kinds it may read.
    """
    kinds = kinds_for(caller.scopes)
    if not kinds:
        raise Refused(ProblemCode.FORBIDDEN, "This key may read nothing that could change.")
    streams = parts.change_streams
    after = int(last_event_id) if last_event_id is not None else None
    try:
        listener = streams.open(caller.tenant.tenant, recipient_id, kinds, after)
    except TooManyStreams:
        raise unavailable("As many streams as this service keeps are open; try again later.") from None
    stream = EventStream(streams.events(listener), headers={"cache-control": "no-store", "x-accel-buffering": "no"})
    stream.lifetime_seconds = streams.lifetime_seconds
    stream.forget = lambda: streams.close(listener)
    return stream
