"""``Sec-GPC: 1`` on a recipient's request: taken as an opt-out where a rule says so, with no further step."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request

from domain.legal.signals import GPC_HEADER
from domain.values import Frozen, Purpose
from serving.http.auth import Caller, PartsOf, permission
from serving.http.rate_limit import never_limited
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route
from serving.parts import Parts

router = APIRouter(route_class=Route, prefix=PREFIX, tags=["recipients"])


@dataclass(frozen=True)
class Signal:
    """The headers by which the recipient's browser may speak for them, as they were passed on."""

    headers: Mapping[str, str]
    parts: Parts

    def heed(self, caller: Caller, recipient_id: str) -> tuple[Purpose, ...]:
        """Withdraw what the headers ask for and return what was withdrawn now; called last, so that it wins."""
        now = self.parts.clock.now(caller.tenant)
        return self.parts.opt_out_signals.heed(caller.tenant, recipient_id, self.headers, actor=caller.actor, now=now)


def _signal(
    request: Request,
    parts: PartsOf,
    gpc: Annotated[  # noqa: ARG001 - read from the request under the name the rule has; here for the document
        str | None,
        Header(
            alias=GPC_HEADER,
            max_length=40,
            description="Pass it on from the recipient's browser: `1` opts out of sharing and profiling, for good.",
        ),
    ] = None,
) -> Signal:
    return Signal(request.headers, parts)


SignalOf = Annotated[Signal, Depends(_signal)]


class Heeded(Frozen):
    """What a signal changed."""

    withdrawn: tuple[Purpose, ...]


@router.post("/opt-out-signal", summary="Pass on a browser's opt-out signal")
@never_limited
def post_opt_out_signal(
    caller: Annotated[Caller, permission("consents:write")], recipient_id: RecipientId, signal: SignalOf
) -> Heeded:
    """Take the `Sec-GPC` header of a page the recipient looked at as their opt-out, where a rule in force says so.

    Every request that changes consents, channels, preferences or the profile heeds the header too. Without it, or
    when all it asks for holds already, nothing changes: absence never brings a consent back.
    """
    return Heeded(withdrawn=signal.heed(caller, recipient_id))
