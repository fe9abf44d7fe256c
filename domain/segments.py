"""The rule language of templates, business rules and segments: conditions over facts, joined by and, or, not.

Three-valued: a condition is true, false, or unknown (None) when its fact is missing. A missing fact is missing and
never 0, "" or false. ``and``, ``or`` and ``not`` follow Kleene: what is unknown decides only where nothing else does,
so learning a missing fact never turns a true rule false or a false one true. Who acts on a rule acts on true alone.
``segment_reading`` reads rules from JSON.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from domain.events import EventType
from domain.values import Channel

Scalar = bool | int | float | str
Fact = Scalar | datetime | tuple[Scalar, ...] | None
"""What is known under one name; None and an absent name are the same: missing. An empty tuple is known to be empty."""
Truth = bool | None
"""None stands for unknown."""


class Operator(StrEnum):
    """What a condition may ask of a fact; a fact that the question does not fit is answered as said here."""

    EQUALS = "equals"
    """The same value; 1 and 1.0 are, 1 and true or "1" are not."""
    NOT_EQUALS = "not_equals"
    GREATER_THAN = "greater_than"
    """Unknown for what is no number."""
    LESS_THAN = "less_than"
    CONTAINS = "contains"
    """A list has the value, or a text has the text in it; unknown for anything else."""
    IN = "in"
    """One of the values given."""
    EXISTS = "exists"
    """Known (true) or missing (false); never unknown itself."""
    WITHIN_DAYS = "within_days"
    """A moment that lies at most so many days back, and not ahead; unknown for what is no moment."""


@dataclass(frozen=True)
class EventCount:
    """How many events of a type a recipient caused in the last days; ``days`` is 1 to 365."""

    event: EventType
    days: int
    channel: Channel | None = None

    @property
    def name(self) -> str:
        """The name its fact has."""
        return f"events.{self.event.value}.{self.channel.value if self.channel else 'any'}.{self.days}d"


@dataclass(frozen=True)
class Condition:
    """One question about one fact."""

    subject: str | EventCount
    operator: Operator
    value: Scalar | tuple[Scalar, ...]

    @property
    def fact(self) -> str:
        """The name of the fact it asks about."""
        return self.subject if isinstance(self.subject, str) else self.subject.name


@dataclass(frozen=True)
class And:
    """True when every rule is, false when one is false."""

    rules: tuple["Rule", ...]


@dataclass(frozen=True)
class Or:
    """True when one rule is, false when every one is false."""

    rules: tuple["Rule", ...]


@dataclass(frozen=True)
class Not:
    """The contrary; of unknown, unknown."""

    rule: "Rule"


Rule = Condition | And | Or | Not


@dataclass(frozen=True)
class Answer:
    """What one condition of a rule came to; ``place`` is where it stands, names and positions with dots."""

    place: str
    fact: str
    operator: Operator
    truth: Truth


def evaluate(rule: Rule, facts: Mapping[str, Fact], now: datetime) -> Truth:
    """Return whether a rule holds; None when what is missing could decide it.

    Args:
        rule: the rule.
        facts: what is known, by name; event counts by ``EventCount.name``. May hold anything else too.
        now: the moment ``within_days`` counts back from, with its offset.
    """
    match rule:
        case And(rules):
            return _all(evaluate(each, facts, now) for each in rules)
        case Or(rules):
            return _not(_all(_not(evaluate(each, facts, now)) for each in rules))
        case Not(inner):
            return _not(evaluate(inner, facts, now))
        case Condition():
            return _asked(rule, facts.get(rule.fact), now)


def holds(rule: Rule | None, facts: Mapping[str, Fact], now: datetime) -> bool:
    """Return whether a rule is true, unknown being no; no rule always holds."""
    return rule is None or evaluate(rule, facts, now) is True


def answers(rule: Rule, facts: Mapping[str, Fact], now: datetime) -> list[Answer]:
    """Return what each condition of a rule came to, in the order written."""
    return [
        Answer(place, each.fact, each.operator, _asked(each, facts.get(each.fact), now))
        for place, each in conditions(rule)
    ]


def conditions(rule: Rule, place: str = "") -> Iterator[tuple[str, Condition]]:
    """Yield every condition of a rule with its place, in the order written."""
    match rule:
        case And(rules) | Or(rules):
            word = "and" if isinstance(rule, And) else "or"
            for position, each in enumerate(rules):
                yield from conditions(each, f"{place}{word}.{position}.")
        case Not(inner):
            yield from conditions(inner, f"{place}not.")
        case Condition():
            yield place.removesuffix("."), rule


def subjects(rules: Iterable[Rule | None]) -> frozenset[str | EventCount]:
    """Return everything that some rules ask about, so that nothing else needs to be read."""
    return frozenset(each.subject for rule in rules if rule is not None for _, each in conditions(rule))


def _all(truths: Iterable[Truth]) -> Truth:
    found = set(truths)
    if False in found:
        return False
    return None if None in found else True


def _not(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _asked(condition: Condition, fact: Fact, now: datetime) -> Truth:
    if condition.operator is Operator.EXISTS:
        return (fact is not None) is condition.value
    return None if fact is None else _ASKED[condition.operator](fact, condition.value, now)


def _ordered(fact: Fact, value: Any, *, is_greater: bool) -> Truth:
    if not (_is_number(fact) and _is_number(value)):
        return None
    return bool(fact > value if is_greater else fact < value)


def _same(fact: Any, value: Any) -> bool:
    """Compare without Python's ``True == 1``."""
    if _is_number(fact) and _is_number(value):
        return bool(fact == value)
    return type(fact) is type(value) and bool(fact == value)


def _contains(fact: Fact, value: Any) -> Truth:
    if isinstance(fact, tuple):
        return any(_same(each, value) for each in fact)
    return value in fact if isinstance(fact, str) and isinstance(value, str) else None


def _within(fact: Fact, days: Any, now: datetime) -> Truth:
    if not isinstance(fact, datetime) or fact.tzinfo is None:
        return None
    return timedelta(0) <= now - fact <= timedelta(days=days)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_ASKED: dict[Operator, Callable[[Fact, Any, datetime], Truth]] = {
    Operator.EQUALS: lambda fact, value, _: _same(fact, value),
    Operator.NOT_EQUALS: lambda fact, value, _: not _same(fact, value),
    Operator.GREATER_THAN: lambda fact, value, _: _ordered(fact, value, is_greater=True),
    Operator.LESS_THAN: lambda fact, value, _: _ordered(fact, value, is_greater=False),
    Operator.CONTAINS: lambda fact, value, _: _contains(fact, value),
    Operator.IN: lambda fact, values, _: any(_same(fact, each) for each in values),
    Operator.WITHIN_DAYS: _within,
}
