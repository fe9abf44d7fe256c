"""Reads rules from JSON, strictly, and writes them back; what is no rule is refused with its place.

``{"and": [RULE, …]}``, ``{"or": [RULE, …]}``, ``{"not": RULE}``, ``{"field": NAME, OPERATOR: VALUE}`` or
``{"count": {"event": TYPE, "days": N, "channel": C?}, OPERATOR: VALUE}``; no other keys, one operator.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetPydanticSchema, WithJsonSchema
from pydantic_core import core_schema

from domain.events import EventType
from domain.recipient_facts import is_field
from domain.segments import And, Condition, EventCount, Not, Operator, Or, Rule, Scalar
from domain.values import Channel

MAX_DEPTH = 8
"""Rules inside each other."""
MAX_RULES = 100
"""Rules in all, those that join others included."""
MAX_VALUES = 100
MAX_TEXT = 200
MAX_COUNTED_DAYS = 365
MAX_DAYS = 3_650


@dataclass(frozen=True)
class Language:
    """What the rules of one subject may ask about.

    Attributes:
        is_field: tells whether a name is that of a fact; a misspelt one would be missing for ever.
        such_as: some facts, in words.
    """

    is_field: Callable[[str], bool]
    such_as: str


OF_RECIPIENTS = Language(is_field, "profile.country, segment.name or feature.login_count_7d")


def read(document: Any, language: Language = OF_RECIPIENTS) -> Rule:
    """Return the rule that a JSON value says, in the language of its subject.

    Raises:
        ValueError: with the place (names and positions with dots) and what was expected there.
    """
    return _Reader(language).rule(document, "", 1)


def written(rule: Rule) -> dict[str, Any]:
    """Return a rule as the JSON value it is read from."""
    match rule:
        case And(rules):
            return {"and": [written(each) for each in rules]}
        case Or(rules):
            return {"or": [written(each) for each in rules]}
        case Not(inner):
            return {"not": written(inner)}
        case Condition(subject, operator, value):
            said = list(value) if isinstance(value, tuple) else value
            return {**_subject_written(subject), operator.value: said}


def _subject_written(subject: str | EventCount) -> dict[str, Any]:
    if isinstance(subject, str):
        return {"field": subject}
    count = {"event": subject.event.value, "days": subject.days}
    return {"count": count | ({"channel": subject.channel.value} if subject.channel else {})}


def _refused(place: str, expected: str) -> ValueError:
    return ValueError(f"{place.removesuffix('.')} must be {expected}" if place else f"must be {expected}")


class _Reader:
    """One reading; it counts the rules met."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._count = 0

    def rule(self, document: Any, place: str, depth: int) -> Rule:
        self._count += 1
        if depth > MAX_DEPTH:
            raise _refused(place, f"at most {MAX_DEPTH} rules inside each other")
        if self._count > MAX_RULES:
            raise _refused(place, f"one of at most {MAX_RULES} rules")
        if not isinstance(document, dict):
            raise _refused(place, "a rule: an object")
        if "field" in document or "count" in document:
            return _condition(document, place, self._language)
        if len(document) != 1 or (word := next(iter(document))) not in ("and", "or", "not"):
            raise _refused(place, "a rule: and, or, not alone, or field or count with one operator")
        inside = f"{place}{word}."
        if word == "not":
            return Not(self.rule(document["not"], inside, depth + 1))
        given = document[word]
        if not isinstance(given, list) or not given:
            raise _refused(inside, "a list of at least one rule")
        rules = tuple(self.rule(each, f"{inside}{position}.", depth + 1) for position, each in enumerate(given))
        return And(rules) if word == "and" else Or(rules)


def _condition(document: dict[str, Any], place: str, language: Language) -> Condition:
    named = [name for name in ("field", "count") if name in document]
    operators = [name for name in document if name not in named]
    if len(named) != 1 or len(operators) != 1 or operators[0] not in set(Operator):
        raise _refused(place, f"field or count with one of {', '.join(Operator)}")
    operator = Operator(operators[0])
    said, there = document[named[0]], f"{place}{named[0]}"
    subject = _field(said, there, language) if named[0] == "field" else _count(said, there)
    value: Callable[[Any, str], Any] = _VALUES.get(operator, _scalar)
    return Condition(subject, operator, value(document[operator.value], f"{place}{operator.value}"))


def _field(value: Any, place: str, language: Language) -> str:
    if not isinstance(value, str) or not language.is_field(value):
        raise _refused(place, f"the name of a fact, such as {language.such_as}")
    return value


def _count(value: Any, place: str) -> EventCount:
    if not isinstance(value, dict) or not {"event", "days"} <= value.keys() <= {"event", "days", "channel"}:
        raise _refused(place, "an object with event, days and, if it matters, channel")
    event, days, channel = value["event"], value["days"], value.get("channel")
    if not isinstance(event, str) or event not in set(EventType):
        raise _refused(f"{place}.event", "a type of event")
    if not _is_whole(days) or not 1 <= days <= MAX_COUNTED_DAYS:
        raise _refused(f"{place}.days", f"a whole number from 1 to {MAX_COUNTED_DAYS}")
    if channel is not None and (not isinstance(channel, str) or channel not in set(Channel)):
        raise _refused(f"{place}.channel", "a channel")
    return EventCount(EventType(event), days, Channel(channel) if channel is not None else None)


def _scalar(value: Any, place: str) -> Scalar:
    is_text = isinstance(value, str) and len(value) <= MAX_TEXT
    if not is_text and not isinstance(value, bool) and not _is_finite(value):
        raise _refused(place, f"a text of at most {MAX_TEXT} characters, a number, or true or false")
    return value  # type: ignore[no-any-return]


def _number(value: Any, place: str) -> Scalar:
    if not _is_finite(value):
        raise _refused(place, "a number")
    return value  # type: ignore[no-any-return]


def _flag(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise _refused(place, "true or false")
    return value


def _days(value: Any, place: str) -> int:
    if not _is_whole(value) or not 1 <= value <= MAX_DAYS:
        raise _refused(place, f"a whole number from 1 to {MAX_DAYS}")
    return value  # type: ignore[no-any-return]


def _several(value: Any, place: str) -> tuple[Scalar, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_VALUES:
        raise _refused(place, f"a list of 1 to {MAX_VALUES} values")
    return tuple(_scalar(each, f"{place}.{position}") for position, each in enumerate(value))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


_VALUES: dict[Operator, Callable[[Any, str], Any]] = {
    Operator.GREATER_THAN: _number,
    Operator.LESS_THAN: _number,
    Operator.IN: _several,
    Operator.EXISTS: _flag,
    Operator.WITHIN_DAYS: _days,
}


def _known(language: Language) -> Callable[[Any], Rule]:
    return lambda value: value if isinstance(value, Condition | And | Or | Not) else read(value, language)


def in_language(language: Language) -> tuple[GetPydanticSchema, WithJsonSchema]:
    """Return what makes ``Annotated[Rule, *in_language(…)]`` a field: read from JSON, written back as JSON."""
    schema = core_schema.no_info_plain_validator_function(
        _known(language), serialization=core_schema.plain_serializer_function_ser_schema(written)
    )
    described = {"type": "object", "description": "A rule; docs/preferences.md has the language."}
    return GetPydanticSchema(lambda _type, _handler: schema), WithJsonSchema(described)


RuleField = Annotated[Rule, *in_language(OF_RECIPIENTS)]
"""A rule about recipients as a field of a model."""
