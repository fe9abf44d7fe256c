"""Business rules: what a tenant itself lets be sent, where and in which words; one document in versions.

A rule looks at one option of a decision, a channel with a variant, before any probability is computed. ``exclude``
takes options away, ``require`` leaves only those it names, ``boost`` moves what an option is worth within a cap.
None opens what the law, the recipient or a budget closed. Only what is true counts: a rule whose answer hangs on
something unknown does nothing.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from domain import segments
from domain.message_types import MessageType
from domain.recipient_facts import PROFILE_FIELDS
from domain.segment_reading import Language, in_language
from domain.segments import EventCount, Fact, Rule
from domain.slots import VariantId
from domain.values import Channel, Frozen, Reason

MAX_RULES = 200
MOST_BOOST = 0.5
"""Most by which rules together may move what an option's conversions are worth, up or down, as a share."""

_NAME = r"[a-z][a-z0-9_]{0,63}"
_OF_OPTIONS = ("channel", "variant")
_KNOWN = re.compile(
    rf"profile\.(?:{'|'.join(PROFILE_FIELDS)}|attributes\.{_NAME})|context\.(?:device|country|region|session\.{_NAME})"
    rf"|context\.external\.(?:market|weather|event|social)\.{_NAME}|message\.(?:type|class|category)|campaign_id"
    rf"|{'|'.join(_OF_OPTIONS)}"
)
_LANGUAGE = Language(
    lambda name: _KNOWN.fullmatch(name) is not None,
    "profile.country, context.external.weather.rain_mm, message.type or channel",
)
BusinessCondition = Annotated[Rule, *in_language(_LANGUAGE)]
RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Boost = Annotated[float, Field(ge=-MOST_BOOST, le=MOST_BOOST)]


class RuleAction(StrEnum):
    """What a rule does."""

    EXCLUDE = "exclude"
    REQUIRE = "require"
    BOOST = "boost"


class BusinessRule(Frozen):
    """One rule; it is about the options on its channels and of its variants, about all without either."""

    id: RuleId
    description: Annotated[str, StringConstraints(max_length=200)] | None = None
    action: RuleAction
    channels: tuple[Channel, ...] | None = Field(default=None, min_length=1, max_length=len(Channel))
    variants: tuple[VariantId, ...] | None = Field(default=None, min_length=1, max_length=50)
    when: BusinessCondition | None = Field(default=None, description="Null is always.")
    by: Boost | None = Field(
        default=None, description="Of a boost: the share by which what an option's conversions are worth changes."
    )

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if (self.by is not None and self.by != 0) != (self.action is RuleAction.BOOST):
            raise ValueError("must have by, other than 0, for a boost and for nothing else")
        names_options = self.channels is not None or self.variants is not None
        if self.action is RuleAction.REQUIRE and not names_options:
            raise ValueError("must have the channels or variants that are required")
        if self.action is RuleAction.REQUIRE and segments.subjects([self.when]) & set(_OF_OPTIONS):
            raise ValueError("must not ask in when about channel or variant, which it names itself")
        if self.action is not RuleAction.REQUIRE and not names_options and self.when is None:
            raise ValueError("must have channels, variants or when: without, it is about everything")
        return self

    @property
    def personalizes(self) -> bool:
        """True for a boost that asks about the recipient."""
        asked = segments.subjects([self.when])
        return self.action is RuleAction.BOOST and any(_is_personal(each) for each in asked)

    def is_about(self, channel: Channel, variant: str) -> bool:
        """Tell whether an option is one the rule names."""
        return (self.channels is None or channel in self.channels) and (
            self.variants is None or variant in self.variants
        )


def _is_personal(subject: str | EventCount) -> bool:
    return isinstance(subject, EventCount) or subject.startswith("profile.")


class BusinessRules(Frozen):
    """A tenant's rules; all are looked at, so their order means nothing."""

    rules: tuple[BusinessRule, ...] = Field(default=(), max_length=MAX_RULES)
    boost_cap: float = Field(
        default=MOST_BOOST, ge=0, le=MOST_BOOST, description="Most by which all boosts together move an option."
    )

    @property
    def subjects(self) -> frozenset[str | EventCount]:
        """What conditions ask about."""
        return segments.subjects(rule.when for rule in self.rules)

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        ids = [rule.id for rule in self.rules]
        if twice := sorted({each for each in ids if ids.count(each) > 1}):
            raise ValueError(f"rules must have different ids: {twice[0]} is there twice")
        return self


NO_RULES = BusinessRules()


class Fired(Frozen):
    """A rule that did something, and on which channels."""

    rule: RuleId
    action: RuleAction
    channels: tuple[Channel, ...]


class Ruled(Frozen):
    """What the rules came to for one decision: recorded whole, so that a replay needs neither rules nor facts.

    ``variants`` are those left on each channel that any are left on; ``boosts`` of each option that was moved, as the
    share of its worth, within the cap.
    """

    version: int = 0
    fired: tuple[Fired, ...] = ()
    refused: Mapping[Channel, Reason] = Field(default_factory=dict)
    refused_by: Mapping[Channel, RuleId] = Field(default_factory=dict)
    variants: Mapping[Channel, tuple[str, ...]] = Field(default_factory=dict)
    boosts: Mapping[Channel, Mapping[str, float]] = Field(default_factory=dict)
    is_personal: bool = Field(default=False, description="A boost stands on what is known of the recipient.")

    def refusal(self, channel: Channel) -> Reason | None:
        """Return why no variant may go to a channel, or None."""
        return self.refused.get(channel)

    def without(self, channels: Iterable[Channel], by: RuleId) -> "Ruled":
        """Return the same without some channels, which a hook of the installation takes away; nothing is opened."""
        taken = [channel for channel in channels if channel not in self.refused]
        refused = dict(self.refused) | dict.fromkeys(taken, Reason.HOOK_REFUSED)
        return self.model_copy(
            update={"refused": refused, "refused_by": {**self.refused_by, **dict.fromkeys(taken, by)}}
        )

    def left(self, channel: Channel, variants: tuple[str, ...]) -> tuple[str, ...]:
        """Return the variants that may go to a channel, all of them where no rule says otherwise."""
        return self.variants.get(channel, variants)

    def boost(self, channel: Channel) -> float:
        """Return by which share what a channel is worth is moved: the mean over the variants left on it."""
        moved = self.boosts.get(channel)
        return math.fsum(moved.values()) / len(moved) if moved else 0.0


def evaluate(
    rules: BusinessRules,
    version: int,
    definition: MessageType,
    facts: Mapping[str, Fact],
    now: datetime,
    *,
    may_personalize: bool,
) -> Ruled:
    """Return what a tenant's rules leave of a message's options.

    Args:
        rules: those in force.
        version: theirs; 0 before any was published.
        definition: the message type, with its channels and variants.
        facts: what is known of the decision, by name; without channel and variant.
        now: the moment, with its offset.
        may_personalize: the recipient lets themselves be personalized for; without, no boost asks about them.
    """
    if not rules.rules:
        return Ruled(version=version)
    known = dict(facts) | _of_type(definition)
    counting = [rule for rule in rules.rules if may_personalize or not rule.personalizes]
    found = [_Option(channel, variant.id) for channel in definition.channels for variant in definition.variants]
    for option in found:
        option.judge(
            counting, rules.boost_cap, known | {"channel": option.channel.value, "variant": option.variant}, now
        )
    return Ruled(
        version=version,
        fired=tuple(_fired(rules, found)),
        is_personal=any(rule.personalizes for option in found for rule in option.fired),
        **_refusals(definition, found),
        variants={
            channel: left
            for channel in definition.channels
            if 0 < len(left := _left(found, channel)) < len(definition.variants)
        },
        boosts={channel: moved for channel in definition.channels if (moved := _boosts(found, channel))},
    )


def _of_type(definition: MessageType) -> dict[str, Fact]:
    return {
        "message.type": definition.type,
        "message.class": definition.message_class.value,
        "message.category": definition.category,
    }


class _Option:
    """One channel with one variant, and what the rules do to it."""

    def __init__(self, channel: Channel, variant: str) -> None:
        self.channel, self.variant = channel, variant
        self.fired: list[BusinessRule] = []
        self.boost = 0.0

    def judge(self, rules: Sequence[BusinessRule], cap: float, facts: Mapping[str, Fact], now: datetime) -> None:
        for rule in rules:
            is_meant = rule.is_about(self.channel, self.variant)
            # What is required is taken from the others.
            if is_meant is (rule.action is not RuleAction.REQUIRE) and segments.holds(rule.when, facts, now):
                self.fired.append(rule)
        moved = math.fsum(rule.by for rule in self.fired if rule.by is not None)
        self.boost = max(-cap, min(cap, moved))

    @property
    def ended_by(self) -> BusinessRule | None:
        """The rule that takes the option away, an exclusion before a requirement."""
        ends = (RuleAction.EXCLUDE, RuleAction.REQUIRE)
        return next((rule for action in ends for rule in self.fired if rule.action is action), None)


def _left(found: list[_Option], channel: Channel) -> tuple[str, ...]:
    return tuple(each.variant for each in found if each.channel is channel and each.ended_by is None)


def _boosts(found: list[_Option], channel: Channel) -> dict[str, float]:
    left = {each.variant: each.boost for each in found if each.channel is channel and each.ended_by is None}
    return left if any(left.values()) else {}


def _refusals(definition: MessageType, found: list[_Option]) -> dict[str, dict[Channel, str]]:
    refused: dict[Channel, str] = {}
    by: dict[Channel, str] = {}
    for channel in definition.channels:
        if _left(found, channel):
            continue
        ended = [each.ended_by for each in found if each.channel is channel and each.ended_by is not None]
        rule = next((each for each in ended if each.action is RuleAction.EXCLUDE), ended[0])
        refused[channel] = Reason.RULE_EXCLUDED if rule.action is RuleAction.EXCLUDE else Reason.RULE_REQUIRED
        by[channel] = rule.id
    return {"refused": refused, "refused_by": by}


def _fired(rules: BusinessRules, found: list[_Option]) -> Iterator[Fired]:
    for rule in rules.rules:
        where = [each.channel for each in found if rule in each.fired]
        if where:
            yield Fired(rule=rule.id, action=rule.action, channels=tuple(dict.fromkeys(where)))
