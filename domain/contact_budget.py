"""The contact budget: how often a recipient may be contacted, and how much a channel carries, over all campaigns.

A rule per recipient counts what that one was sent, whoever sent it; a rule per tenant counts what everybody was sent
and stands for what a channel or a provider can carry. Windows roll (the last so many minutes) or follow the calendar,
of the recipient for a recipient's rule, of the tenant for a tenant's. "Two hours apart" is one in 120 minutes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from domain.calendar_units import CalendarUnit
from domain.events import Identifier, Name
from domain.preference_gate import Held
from domain.values import Channel, Frozen, MessageClass, Moment, Reason

MAX_ROLLING_MINUTES = 90 * 24 * 60
"""Longest rolling window: 90 days, as far as features look back."""
MAX_RULES = 100
LONGEST = timedelta(minutes=MAX_ROLLING_MINUTES)
"""No rule looks further back: a calendar month is shorter."""


class Per(StrEnum):
    """Whose contacts a rule counts together."""

    RECIPIENT = "recipient"
    TENANT = "tenant"


class Scope(Frozen):
    """Which contacts a rule is about: those that fit everything that is named; empty for all."""

    message_class: MessageClass | None = Field(default=None, alias="class")
    channel: Channel | None = None
    category: Name | None = None
    campaign_id: Identifier | None = None

    def fits(self, contact: "Contact") -> bool:
        """Tell whether a contact counts; what is not known of one (sent elsewhere) fits no name."""
        return (
            self.message_class in {None, contact.message_class}
            and self.channel in {None, contact.channel}
            and self.category in {None, contact.category}
            and self.campaign_id in {None, contact.campaign_id}
        )


class BudgetRule(Frozen):
    """At most so many contacts in a window."""

    id: Name
    per: Per = Per.RECIPIENT
    scope: Scope = Scope()
    limit: Annotated[int, Field(ge=0, le=100_000_000)]
    rolling_minutes: Annotated[int, Field(ge=1, le=MAX_ROLLING_MINUTES)] | None = None
    calendar: CalendarUnit | None = None
    each_campaign: bool = Field(default=False, description="Counts what belongs to the message's own campaign, alone.")

    def counts(self, made: "Contact", asked: "Contact") -> bool:
        """Tell whether a contact counts against one more."""
        return self.scope.fits(made) and (not self.each_campaign or made.campaign_id == asked.campaign_id)

    def is_about(self, asked: "Contact") -> bool:
        """Tell whether the rule has a say about one more contact."""
        return self.scope.fits(asked) and (not self.each_campaign or asked.campaign_id is not None)

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if (self.rolling_minutes is None) == (self.calendar is None):
            raise ValueError("exactly one of rolling_minutes and calendar must be given")
        if self.per is Per.TENANT and self.calendar is None:
            raise ValueError("a rule per tenant needs a calendar window: minute, hour, day, week or month")
        if self.per is Per.TENANT and self.each_campaign:
            raise ValueError("each_campaign is for rules per recipient; a rule per tenant may name a campaign_id")
        return self


class ContactBudget(Frozen):
    """A tenant's rules, all of which hold."""

    rules: tuple[BudgetRule, ...] = Field(default=(), max_length=MAX_RULES)

    @model_validator(mode="after")
    def _different_ids(self) -> Self:
        ids = [rule.id for rule in self.rules]
        twice = sorted({each for each in ids if ids.count(each) > 1})
        if twice:
            raise ValueError(f"rules must have different ids; {twice[0]} is there twice")
        return self

    def of(self, per: Per) -> tuple[BudgetRule, ...]:
        """Return the rules of one kind."""
        return tuple(rule for rule in self.rules if rule.per is per)

    @property
    def looks_back(self) -> timedelta:
        """How far back a recipient's contacts are needed; a day more than a calendar window, whatever the zone."""
        rules = self.of(Per.RECIPIENT)
        rolling = [timedelta(minutes=rule.rolling_minutes) for rule in rules if rule.rolling_minutes is not None]
        calendar = [rule.calendar.longest + timedelta(days=1) for rule in rules if rule.calendar is not None]
        return max([*rolling, *calendar], default=timedelta(0))


DEFAULT = ContactBudget(
    rules=(
        BudgetRule(id="recipient_hour", limit=10, rolling_minutes=60),
        BudgetRule(
            id="recipient_day_marketing",
            scope=Scope(**{"class": MessageClass.MARKETING}),
            limit=3,
            calendar=CalendarUnit.DAY,
        ),
        *(
            BudgetRule(
                id=f"{channel.value}_minute",
                per=Per.TENANT,
                scope=Scope(channel=channel),
                limit=1_000,
                calendar=CalendarUnit.MINUTE,
            )
            for channel in Channel
        ),
        *(
            BudgetRule(
                id=f"{channel.value}_day",
                per=Per.TENANT,
                scope=Scope(channel=channel),
                limit=100_000,
                calendar=CalendarUnit.DAY,
            )
            for channel in Channel
        ),
    )
)
"""What holds until a tenant publishes rules of its own."""


class Contact(Frozen):
    """One message that reached for a recipient; what is None is not known, it was sent elsewhere."""

    channel: Channel
    at: Moment
    message_class: MessageClass | None = None
    category: str | None = None
    campaign_id: str | None = None


@dataclass(frozen=True)
class Spent:
    """What is spent, as one reading: a recipient's contacts, and a tenant's units by rule id in the window of ``at``.

    Without the moment of the reading, units count against every window. ``seen`` counts how often a recipient saw a
    variant, by message type and variant, with the past fading; it is no part of the budget.
    """

    contacts: tuple[Contact, ...] = ()
    used: Mapping[str, int] = field(default_factory=dict)
    at: datetime | None = None
    seen: Mapping[tuple[str, str], float] = field(default_factory=dict, compare=False)


def held(
    budget: ContactBudget, spent: Spent, contact: Contact, *, zones: Sequence[ZoneInfo], tenant_zone: ZoneInfo
) -> Held | None:
    """Return what keeps one more contact back, or None when every rule has room for it.

    Capacity binds every class. The rules of recipients bind marketing: a receipt is owed, however many there were.

    Args:
        budget: the rules.
        spent: what counts against them.
        contact: the one more, dated now.
        zones: where the recipient may be; a calendar window must have room in each.
        tenant_zone: whose calendar capacity follows.
    """
    for rule in budget.of(Per.RECIPIENT) if contact.message_class is MessageClass.MARKETING else ():
        if rule.is_about(contact):
            counted = sorted(each.at for each in spent.contacts if rule.counts(each, contact))
            for zone in zones if rule.calendar is not None else zones[:1]:
                if (found := _over(rule, counted, contact.at, zone)) is not None:
                    return found
    return next(_full(budget, spent, contact, tenant_zone), None)


def _over(rule: BudgetRule, counted: Sequence[datetime], now: datetime, zone: ZoneInfo) -> Held | None:
    """Return the refusal of a recipient's rule, with the moment from which it has room again."""
    full = [made for made in _windows(rule, counted, now, zone) if len(made) >= rule.limit]
    if not full:
        return None
    opens_at = None
    if rule.limit and rule.calendar is not None:
        opens_at = rule.calendar.bounds(now, zone)[1]
    elif rule.limit:
        opens_at = max(made[-rule.limit] for made in full) + timedelta(minutes=rule.rolling_minutes or 0)
    return Held(Reason.BUDGET_RECIPIENT, rule.id, opens_at)


def _full(budget: ContactBudget, spent: Spent, contact: Contact, zone: ZoneInfo) -> Iterator[Held]:
    for rule in budget.of(Per.TENANT):
        if rule.calendar is None or not rule.scope.fits(contact) or spent.used.get(rule.id, 0) < rule.limit:
            continue
        start, end = rule.calendar.bounds(contact.at, zone)
        # What was counted in one window says nothing of the next, unless nothing ever fits.
        if not rule.limit or spent.at is None or rule.calendar.bounds(spent.at, zone)[0] == start:
            yield Held(Reason.BUDGET_CAPACITY, rule.id, end if rule.limit else None)


def charged(budget: ContactBudget, contact: Contact) -> tuple[BudgetRule, ...]:
    """Return the tenant's rules that a contact takes a unit of."""
    return tuple(rule for rule in budget.of(Per.TENANT) if rule.scope.fits(contact))


class Standing(Frozen):
    """How one rule stands for one recipient."""

    rule: BudgetRule
    used: int = Field(description="Contacts in the window that ends now.")
    opens_at: Moment | None = Field(description="When there is room again; null when there is room, or never will be.")

    @property
    def has_room(self) -> bool:
        """True when one more fits."""
        return self.used < self.rule.limit


def standings(
    budget: ContactBudget, contacts: Sequence[Contact], *, now: datetime, zone: ZoneInfo
) -> tuple[Standing, ...]:
    """Return how each recipient's rule stands for a recipient, as if a message that fits it were asked for now."""
    found = []
    for rule in budget.of(Per.RECIPIENT):
        used, over = _fullest(rule, contacts, now, zone)
        found.append(Standing(rule=rule, used=used, opens_at=over.opens_at if over is not None else None))
    return tuple(found)


def _fullest(rule: BudgetRule, contacts: Sequence[Contact], now: datetime, zone: ZoneInfo) -> tuple[int, Held | None]:
    """Return what is used and whether that is too much; of a rule for each campaign, where the most is."""
    fitting = [each for each in contacts if rule.scope.fits(each)]
    campaigns = {each.campaign_id for each in fitting} - {None} if rule.each_campaign else {None}
    used, over = 0, None
    for campaign in campaigns:
        counted = sorted(each.at for each in fitting if campaign is None or each.campaign_id == campaign)
        most = max(map(len, _windows(rule, counted, now, zone)))
        if most >= used:
            used, over = most, _over(rule, counted, now, zone)
    return used, over


def _windows(rule: BudgetRule, counted: Sequence[datetime], now: datetime, zone: ZoneInfo) -> list[Sequence[datetime]]:
    """Return the contacts of every window that one more would be in, given all that count, the oldest first.

    One that is dated after this question counts too: it was recorded first, or is reserved for then. A rolling window
    is every stretch of its length, so one that ends with such a contact may hold this moment as well.
    """
    if rule.calendar is not None:
        start, end = rule.calendar.bounds(now, zone)
        return [[at for at in counted if start <= at < end]]
    length = timedelta(minutes=rule.rolling_minutes or 0)
    ends = [now, *(at for at in counted if now < at < now + length)]
    return [[at for at in counted if end - length < at <= end] for end in ends]
