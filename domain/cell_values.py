"""Cells of somebody's file made values of an event: text, numbers, scaled amounts and stamps.

Amounts are scaled in decimal arithmetic; what cannot be read is refused by field, without repeating it.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

TIME = "occurred_at"
_UNIX = {"unix_seconds": 1, "unix_milliseconds": 1_000}
_NUMBER_CHARACTERS = 64
_MOST_DIGITS = 30


class Unmapped(ValueError):
    """A row cannot be made an event; the field, and what was expected."""

    def __init__(self, field: str, expected: str) -> None:
        super().__init__(f"{field}: expected {expected}")
        self.field = field
        self.expected = expected


class Rounding(StrEnum):
    """How an amount that is no whole number of minor units is made one."""

    HALF_EVEN = "half_even"
    HALF_UP = "half_up"
    DOWN = "down"
    REJECT = "reject"


_MODES = {Rounding.HALF_EVEN: ROUND_HALF_EVEN, Rounding.HALF_UP: ROUND_HALF_UP, Rounding.DOWN: ROUND_DOWN}


def cell(row: Mapping[str, Any], column: str) -> Any:
    """Return a row's value, through objects at the dots of a name; None when empty, missing or not a number."""
    value: Any = row.get(column)
    if value is None and "." in column:
        value = row
        for part in column.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    is_empty = value == "" or (isinstance(value, float) and math.isnan(value))
    return None if is_empty else value


def text(value: Any) -> str:
    """Return a value as text; whole floats without a fraction, because programs read ids with gaps as floats."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


def plain(target: str, value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, bytes):
        raise Unmapped(target, "text or a number, not bytes")
    return value


def scaled(target: str, value: Any, times: Decimal, rounding: Rounding) -> int:
    """Return an amount times a factor as a whole number, such as dollars as cents."""
    amount = _number(target, value) * times
    if rounding is Rounding.REJECT and amount != amount.to_integral_value():
        raise Unmapped(target, f"a whole number after multiplying by {times}")
    return int(amount.to_integral_value(rounding=_MODES.get(rounding, ROUND_HALF_EVEN)))


def stamp(value: Any, form: str | None) -> datetime:
    """Return a stamp, with its offset if it has one.

    Args:
        value: a time, or the text or number that says it.
        form: strptime's format, ``unix_seconds``, ``unix_milliseconds``, or None for ISO 8601.
    """
    if isinstance(value, datetime):
        return value
    if form in _UNIX:
        return _from_unix(value, _UNIX[form])
    try:
        return datetime.strptime(text(value), form) if form else datetime.fromisoformat(text(value))  # noqa: DTZ007
    except ValueError:
        expected = f"a time of the form {form}" if form else "a time such as 2026-03-01T09:30:00, or a declared format"
        raise Unmapped(TIME, expected) from None


def _from_unix(value: Any, per_second: int) -> datetime:
    number = _number(TIME, value)
    try:
        return datetime.fromtimestamp(float(number) / per_second, UTC)
    except (OverflowError, OSError, ValueError):
        raise Unmapped(TIME, "seconds or milliseconds since 1970, as the format says") from None


def _number(target: str, value: Any) -> Decimal:
    written = str(value).strip()
    try:
        number = Decimal(written if len(written) <= _NUMBER_CHARACTERS else "NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    # A short text can name a number that no memory holds, such as 1e999999999.
    if isinstance(value, bool) or not number.is_finite() or number.adjusted() > _MOST_DIGITS:
        raise Unmapped(target, "a number")
    return number


def _integer(target: str, value: Any) -> int:
    number = _number(target, value)
    if number != number.to_integral_value():
        raise Unmapped(target, "a whole number")
    return int(number)


_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


def _boolean(target: str, value: Any) -> bool:
    known = _BOOLEANS.get(str(value).strip().lower())
    if known is None:
        raise Unmapped(target, "true or false, yes or no, 1 or 0")
    return known


def _json(target: str, value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise Unmapped(target, "JSON text") from None


READERS = {
    "text": lambda _, value: text(value),
    "integer": _integer,
    "number": lambda target, value: float(_number(target, value)),
    "boolean": _boolean,
    "json": _json,
}
"""What ``type`` in a mapping names."""
