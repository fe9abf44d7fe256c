"""``/v1/admin/pauses``: an operator stops a tenant, or one channel of it, at once, and says why."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import Field

from domain.consent import ChannelScope, Text
from domain.pauses import Pause
from domain.values import ANY_CHANNEL, Channel, Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import ProblemCode, Refused, problems
from serving.http.routes import Route
from serving.http.strict_body import body_of

router = APIRouter(route_class=Route, prefix="/v1/admin/pauses", tags=["administration"])
Reader = Annotated[Caller, permission("pauses:read")]
Writer = Annotated[Caller, permission("pauses:write")]


class NewPause(Frozen):
    """What to stop, and why."""

    channel: ChannelScope = Field(ANY_CHANNEL, description="`*` is the whole tenant.")
    reason: Text


class PauseList(Frozen):
    """What is paused now."""

    pauses: list[Pause]


@router.get("", summary="List the pauses in force")
def get_pauses(caller: Reader, parts: PartsOf) -> PauseList:
    """Return what is paused, since when, by whom and why."""
    return PauseList(pauses=parts.pauses.all(caller.tenant))


@router.post("", summary="Pause the tenant or a channel")
def post_pause(caller: Writer, body: Annotated[NewPause, body_of(NewPause)], parts: PartsOf) -> Pause:
    """Send nothing from this answer on, whatever its class: decisions say `pause.tenant` or `pause.channel`.

    A decision that was being recorded is waited for. What was decided before and handed over is not called back.
    """
    return parts.pauses.set(caller.tenant, body.channel, reason=body.reason, actor=caller.actor)


@router.delete("/{scope}", status_code=204, summary="Lift a pause", responses=problems(404))
def delete_pause(caller: Writer, scope: Literal["tenant"] | Channel, parts: PartsOf) -> None:
    """Lift the pause of a channel, or of the whole `tenant`; a paused channel stays so when its tenant goes on."""
    channel = ANY_CHANNEL if scope == "tenant" else scope
    if not parts.pauses.lift(caller.tenant, channel, actor=caller.actor):
        raise Refused(ProblemCode.NOT_FOUND, "This is not paused.")
