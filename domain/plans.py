"""Plans: a message to an audience within budgets, optimised as a whole, then decided person by person.

An option is a channel in a slot of the window. What a plan gives somebody becomes a decision like any other, with its
gates, its probabilities and its record: a plan proposes, and opens nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from domain.decision_request import DecisionRequest, DeliveryWindow, Message
from domain.events import Identifier
from domain.expected import Weights
from domain.gates import Screened
from domain.ingest import local_time
from domain.jobs import JobState
from domain.segment_reading import RuleField
from domain.stages import Asked
from domain.values import Channel, Frozen, Moment

MAX_SLOTS = 8
MAX_PER_RECIPIENT = 8
Count = Annotated[int, Field(ge=0, le=10**9)]
LEAST_MONEY = 1e-6
"""Less than this is no price: what a budget has room for would be more than can be counted."""
MAX_CELLS = 8_000_000
"""People times options of one plan, such as a million with eight: what is held in memory at once."""
LEAST_SLOT = timedelta(minutes=1)


def _countable(money: float) -> float:
    if 0 < money < LEAST_MONEY:
        raise ValueError("must be 0 or at least 0.000001")
    return money


Money = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False), AfterValidator(_countable)]
VISITS = Weights(visit=1.0, conversion=0.0)
"""What messages are compared by while no model speaks to conversions: the visits they are expected to bring."""


class PlanBudgets(Frozen):
    """What the whole plan may use; null is no limit."""

    messages: Count | None = Field(default=None, description="In all.")
    channels: dict[Channel, Count] = Field(default_factory=dict, description="On each channel.")
    per_slot: Count | None = Field(default=None, description="In each slot of the window.")
    money: Money | None = None
    costs: dict[Channel, Money] = Field(default_factory=dict, description="Of one message, in the unit of money.")


class PlanRequest(Frozen):
    """What is planned: one message to an audience, or several to one recipient over channels and slots."""

    message: Message
    campaign_id: Identifier | None = None
    audience: RuleField | None = Field(default=None, description="Who, by what is known of them; null is everybody.")
    recipient_id: Identifier | None = Field(default=None, description="One recipient instead of an audience.")
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=len(Channel))] | None = None
    window: DeliveryWindow | None = Field(default=None, description="When it may be sent; null is now.")
    slots: int = Field(default=1, ge=1, le=MAX_SLOTS, description="Equal parts of the window to choose from.")
    per_recipient: int = Field(default=1, ge=1, le=MAX_PER_RECIPIENT, description="Messages to one person at most.")
    budgets: PlanBudgets = PlanBudgets()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.audience is not None and self.recipient_id is not None:
            raise ValueError("must have an audience or a recipient_id, not both")
        if self.slots > 1 and (self.window is None or self.window.until is None):
            raise ValueError("must have window.until where there are several slots")
        if self.channels is not None and len(set(self.channels)) < len(self.channels):
            raise ValueError("channels must not name a channel twice")
        if self.budgets.money is not None and not self.budgets.costs:
            raise ValueError("budgets must have costs where there is money")
        return self

    def ask(self, recipient_id: str, option: "PlanOption | None" = None) -> DecisionRequest:
        """Return the request for a decision about somebody: for what the plan gave them, or for any of its channels."""
        window = None
        if option is not None and self.window is not None:
            window = DeliveryWindow.model_validate({"from": option.starts, "until": option.ends})
        return DecisionRequest(
            recipient_id=recipient_id,
            message=self.message,
            campaign_id=self.campaign_id,
            channels=(option.channel,) if option is not None else self.channels,
            delivery_window=window,
        )


@dataclass(frozen=True)
class PlanOption:
    """A channel in a slot: from its start on, before its end."""

    channel: Channel
    slot: int
    starts: datetime
    ends: datetime | None


class TooLarge(ValueError):
    """A plan has more people times options than it may; the message says what is expected."""


def check_cells(people: int, each: int) -> None:
    """Refuse a plan that would not fit into memory.

    Args:
        people: of the audience.
        each: options of each of them, channels times slots.

    Raises:
        TooLarge: they are too many together.
    """
    if people * each > MAX_CELLS:
        raise TooLarge(f"at most {MAX_CELLS // each} people where each has {each} options, channels times slots")


def late_window(request: PlanRequest, now: datetime) -> str | None:
    """Return what is expected of the end of a plan's window instead; None where nothing is wrong with it.

    Args:
        request: the plan.
        now: when it is asked for.
    """
    window = request.window
    if window is None or window.until is None:
        return None
    if window.until <= now:
        return "a moment that is not over"
    if (window.until - (window.starts or now)) / request.slots < LEAST_SLOT:
        return "a moment that leaves each slot at least a minute"
    return None


def options(request: PlanRequest, channels: Sequence[Channel], now: datetime) -> tuple[PlanOption, ...]:
    """Return what one message of a plan may be, slot by slot.

    Args:
        request: the plan.
        channels: those of the message type.
        now: when the plan was asked for.
    """
    offered = [each for each in channels if request.channels is None or each in request.channels]
    window = request.window
    starts = window.starts if window is not None and window.starts is not None else now
    ends = window.until if window is not None else None
    bounds: list[datetime | None] = [starts, ends]
    if ends is not None:
        length = (ends - starts) / request.slots
        bounds = [*(starts + place * length for place in range(request.slots)), ends]
    return tuple(
        PlanOption(channel, slot, start, end)
        for slot, (start, end) in enumerate(pairwise(bounds))
        if start is not None
        for channel in offered
    )


def worth(option: PlanOption, asked: Asked, screened: Screened) -> float:
    """Return what an option would bring a recipient, in conversions, or in visits while no model speaks to those.

    Args:
        option: a channel in a slot.
        asked: what a decision at the slot's start would be drawn from.
        screened: what the gates would leave then.

    Returns:
        The value less the price; minus infinity where the channel is not permitted then.
    """
    terms = asked.expected.channels.get(option.channel)
    if terms is None or option.channel not in screened.permitted:
        return -math.inf
    weights = asked.settings.weights if asked.expected.can_value else VISITS
    parts = terms.terms(weights)
    activity, factor = asked.expected.activity, 1.0
    if activity is not None:
        hour = local_time(option.starts, asked.situation.zone)[0]
        factor = math.exp(asked.settings.activity_weight * activity.log_rates[hour])
    gained = sum(parts[name] for name in ("visit", "conversion", "boost") if name in parts)
    # What a send costs is told in conversions, which cannot be taken from visits.
    paid = terms.price - parts["cost"] if asked.expected.can_value else 0.0
    return gained * factor + parts["opt_out"] - paid


@dataclass(frozen=True)
class Resources:
    """What options use up, and how much there is: names, (m, j) units and (j,) limits."""

    names: tuple[str, ...]
    usage: tuple[tuple[float, ...], ...]
    limits: tuple[float, ...]


def resources(budgets: PlanBudgets, given: Sequence[PlanOption]) -> Resources:
    """Return the shared limits of a plan; what has no limit is counted all the same."""
    slots = sorted({each.slot for each in given})
    channels = list(dict.fromkeys(each.channel for each in given))
    columns: list[tuple[str, float | None, list[float]]] = [("messages", budgets.messages, [1.0 for _ in given])]
    columns += [
        (f"channel.{name.value}", budgets.channels.get(name), [float(each.channel is name) for each in given])
        for name in channels
    ]
    columns += [(f"slot.{slot}", budgets.per_slot, [float(each.slot == slot) for each in given]) for slot in slots]
    columns.append(("money", budgets.money, [budgets.costs.get(each.channel, 0.0) for each in given]))
    return Resources(
        names=tuple(name for name, _, _ in columns),
        usage=tuple(tuple(column[row] for _, _, column in columns) for row in range(len(given))),
        limits=tuple(math.inf if limit is None else float(limit) for _, limit, _ in columns),
    )


class Constraint(Frozen):
    """One shared limit of a plan, what is used of it, and what one more unit would bring."""

    name: str
    limit: float | None
    used: float
    price: float = Field(description="In the unit of value, per unit; 0 where the limit does not bind.")


class PlanSummary(Frozen):
    """What a plan came to."""

    recipients: int = Field(description="In the audience.")
    reachable: int = Field(description="Of them, with at least one option that the gates leave.")
    items: int
    unit: str = Field(description="conversions, or visits while no model speaks to conversions.")
    value: float
    bound: float = Field(description="No plan within the budgets is worth more.")
    gap: float = Field(ge=0, le=1, description="Share of the relaxed optimum that may be missing.")
    cost: float = Field(description="Of all messages, in the unit of money.")
    constraints: tuple[Constraint, ...]


class PlanItem(Frozen):
    """One message of a plan; what became of it once its decision is made."""

    position: int
    channel: Channel
    slot: int
    starts: Moment
    worth: float
    decision_id: str | None = None
    outcome: str | None = None
    reason: str | None = None
    action_probability: float | None = None
    problem: str | None = Field(default=None, description="Why no decision could be made.")


class PlanStatus(Frozen):
    """A plan as its owner sees it; ``summary`` is null until the audience was optimised."""

    plan_id: str
    job_id: str
    state: JobState
    total: int = Field(description="Steps in all: reading the audience, optimising, deciding.")
    done: int
    problem: str | None
    created_at: Moment
    updated_at: Moment
    summary: PlanSummary | None
