"""``/v1/recipients/{id}/strategy``: how a recipient stands on a channel; a projection, and never an input."""

from typing import Annotated

from fastapi import APIRouter, Query

from domain.values import Channel
from serving.http.auth import Caller, PartsOf, permission
from serving.http.errors import FieldError, Refused, problems
from serving.http.problem_codes import declared
from serving.http.recipients import PREFIX, RecipientId
from serving.http.routes import Route
from serving.strategies import Strategy, strategy

router = APIRouter(route_class=Route, tags=["recipients"])
NOT_OFFERED = declared("strategy.channel_not_offered", 422, "No published message type offers this channel.")


@router.get(PREFIX + "/strategy", summary="Read how a recipient stands on a channel", responses=problems(422))
def get_strategy(
    caller: Annotated[Caller, permission("decisions:read")],
    recipient_id: RecipientId,
    parts: PartsOf,
    channel: Annotated[Channel, Query(description="Which channel.")],
) -> Strategy:
    """Return the settings in force, the rates and weariness a decision would use now, and how the contact rules stand.

    Nothing reads it back: it follows from what is known at the moment of the question. Reading it is audited.
    """
    tenant = caller.tenant
    offering = [each for each in parts.templates.types.all(tenant) if channel in each.definition.channels]
    if not offering:
        problem = FieldError(field="query.channel", expected="a channel that a published message type offers")
        raise Refused(NOT_OFFERED, "No published message type offers this channel.", errors=[problem])
    now = parts.clock.now(tenant)
    rules = parts.contact_ledger.standings(tenant, recipient_id, actor=caller.actor, now=now)
    return strategy(parts.decider, tenant, recipient_id, offering[0], channel, rules, now=now)
