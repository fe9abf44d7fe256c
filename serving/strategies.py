"""Strategies: how a recipient stands on a channel right now; a projection of what is known, never an input."""

from datetime import datetime

from domain.contact_budget import Standing
from domain.decision_request import DecisionRequest, Message
from domain.gates import Screened
from domain.message_types import PublishedType
from domain.stages import Settings
from domain.tenants import Tenant
from domain.values import Channel, Frozen, Moment
from serving.decide import Decider
from serving.expectations import expected


class Strategy(Frozen):
    """Settings, rates and weariness of one recipient on one channel, as a decision would use them now."""

    channel: Channel
    as_of: Moment
    settings: Settings
    p_open: float | None
    p_opt_out: float | None
    p_active: float | None
    fatigue: float | None
    price: float
    contact_rules: tuple[Standing, ...]
    experiments: tuple[dict[str, str], ...] = ()
    versions: dict[str, str]


def strategy(
    decider: Decider,
    tenant: Tenant,
    recipient_id: str,
    published: PublishedType,
    channel: Channel,
    rules: tuple[Standing, ...],
    *,
    now: datetime,
) -> Strategy:
    """Return how a recipient stands on a channel.

    Args:
        decider: whose settings are in force.
        tenant: whose recipient.
        recipient_id: who.
        published: a message type that offers the channel.
        channel: which.
        rules: how the contact budget stands for the recipient.
        now: the tenant's clock.
    """
    request = DecisionRequest(recipient_id=recipient_id, message=Message(type=published.definition.type))
    known = decider.situations.known(tenant, [request], now=now, with_heads=False)
    situation = decider.situations.of_request(tenant, request, known, now)
    settings = decider.policy_settings
    told = expected(
        [situation], [Screened((channel,), ())], [None], send_cost=settings.send_cost, fitted=decider.fitted()
    )
    terms = told[0].channels[channel]
    return Strategy(
        channel=channel,
        as_of=now,
        settings=settings,
        p_open=terms.p_open,
        p_opt_out=terms.p_opt_out,
        p_active=terms.p_active,
        fatigue=terms.fatigue,
        price=prices.of(channel) if (prices := decider.situations.prices(tenant.tenant)) is not None else 0.0,
        contact_rules=rules,
        versions={
            "law": situation.law.rules.version,
            "business_rules": str(known.rules.version),
            "consent": str(situation.allowances.version),
        },
    )
