"""Rule sets: what law and mailbox providers demand, as data with a source for each rule and a version for all.

The YAML beside this module is read by ``adapters.legal_rule_files``; nothing here touches a file.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from domain.profiles import Country
from domain.quiet_hours import QuietHours
from domain.values import Channel, Frozen, MessageClass, Purpose

RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*\.[a-z0-9]+(_[a-z0-9]+)*$")]
RuleSetVersion = Annotated[str, StringConstraints(pattern=r"^[0-9a-z][0-9a-z.-]{0,39}$")]
Jurisdiction = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=500)]
EVERYWHERE = "*"
Unit = Literal["minutes", "hours", "days", "business_days", "months", "years"]


class Measure(StrEnum):
    """What a cap counts."""

    COMPLAINT_SHARE = "complaint_share"


class Window(Frozen):
    """Local hours in which a message may be sent: [opens, closes)."""

    opens: int = Field(ge=0, le=23)
    closes: int = Field(ge=1, le=23)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError("opens must lie before closes")
        return self

    @property
    def closed_hours(self) -> QuietHours:
        """The hours outside the window."""
        return QuietHours(start=self.closes, end=self.opens)


class Cap(Frozen):
    """A share that stops sending once it is reached, counted over the days before."""

    measure: Measure
    limit: float = Field(gt=0, le=1)
    days: int = Field(gt=0, le=365)


class Deadline(Frozen):
    """How long something may take, or must last."""

    amount: int = Field(gt=0)
    unit: Unit


class Signal(Frozen):
    """A request header by which a browser speaks for its user, and which consents it withdraws."""

    header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z-]{1,40}$")]
    value: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    withdraws: tuple[Purpose, ...] = Field(min_length=1)


class Rule(Frozen):
    """One demand. What it limits is in ``window``, ``cap``, ``keywords``, ``deadline``, ``consent`` or ``signal``."""

    id: RuleId
    law: Sentence
    jurisdiction: Jurisdiction | Literal["*"]
    classes: tuple[MessageClass, ...] = Field(min_length=1)
    channels: tuple[Channel, ...] | Literal["*"]
    duty: Sentence = Field(description="What has to be done, in one sentence.")
    window: Window | None = None
    cap: Cap | None = None
    keywords: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z]+( [a-z]+)*$")], ...] = ()
    deadline: Deadline | None = None
    consent: Purpose | None = Field(default=None, description="The purpose that needs a consent by this rule.")
    signal: Signal | None = None
    source: Sentence = Field(description="Where it is written.")

    def concerns(self, message_class: MessageClass, channel: Channel) -> bool:
        """True when the rule speaks about messages of the class on the channel."""
        return message_class in self.classes and (self.channels == EVERYWHERE or channel in self.channels)


class RuleSet(Frozen):
    """All rules in one version; recorded with each decision."""

    version: RuleSetVersion
    jurisdictions: dict[Jurisdiction, tuple[Country, ...]] = Field(
        description="Countries and territories of each jurisdiction; one for a part of a country names the country."
    )
    rules: tuple[Rule, ...]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        ids = [rule.id for rule in self.rules]
        if double := next((each for each in ids if ids.count(each) > 1), None):
            raise ValueError(f"rules must have different ids; {double} comes twice")
        for rule in self.rules:
            if rule.jurisdiction != EVERYWHERE and rule.jurisdiction not in self.jurisdictions:
                raise ValueError(f"rules.{rule.id}.jurisdiction must be one of jurisdictions, or *")
        return self

    def rule(self, rule_id: str) -> Rule | None:
        """Return a rule by its id, or None when this version has none of that name."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)

    @property
    def complaint_days(self) -> int:
        """Days over which complaints count: the longest window of any cap on them; 1 where there is no cap."""
        caps = (rule.cap for rule in self.rules if rule.cap is not None)
        return max((cap.days for cap in caps if cap.measure is Measure.COMPLAINT_SHARE), default=1)

    def applying(self, countries: frozenset[str] | None) -> Iterator[Rule]:
        """Yield the rules in force for a recipient who may be in any of the countries.

        Args:
            countries: ISO 3166 codes; None when nothing is known, which every rule then reaches.
        """
        for rule in self.rules:
            if countries is None or rule.jurisdiction == EVERYWHERE or countries & self.countries_of(rule):
                yield rule

    def countries_of(self, rule: Rule) -> frozenset[str]:
        """Return the countries of a rule's jurisdiction; empty for a rule that holds everywhere."""
        return frozenset(self.jurisdictions.get(rule.jurisdiction, ()))
