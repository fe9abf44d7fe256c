"""Liquid filters that speak a language: plurals, numbers, money and days, by the Unicode CLDR through Babel.

None of them reads a clock: a day is given, never asked for. What cannot be written is an error, never a gap.
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal, format_percent, is_currency
from liquid.exceptions import FilterArgumentError

FORMS = ("zero", "one", "two", "few", "many", "other")
NAMES = ("plural", "number", "percent", "currency", "day", "moment")
_STYLES = ("short", "medium", "long", "full")
_MOST_DIGITS = 40

Filter = Callable[..., str]


class _Spoken:
    """The filters of one language."""

    def __init__(self, locale: Locale) -> None:
        self._locale = locale

    def plural(self, value: Any, **forms: Any) -> str:
        if "other" not in forms or not set(forms) <= set(FORMS):
            expected = f"plural expects other:, and of {', '.join(FORMS[:-1])} what differs"
            raise FilterArgumentError(expected, token=None)
        number = _number(value)
        form = forms.get(self._locale.plural_form(number), forms["other"])
        return str(form).replace("#", format_decimal(number, locale=self._locale))

    def number(self, value: Any, digits: Any = None) -> str:
        given = _number(value)
        return format_decimal(given if digits is None else round(given, _digits(digits)), locale=self._locale)

    def percent(self, value: Any) -> str:
        return format_percent(_number(value), locale=self._locale)

    def currency(self, value: Any, code: Any) -> str:
        if not isinstance(code, str) or not is_currency(code):
            raise FilterArgumentError('currency expects an ISO 4217 code, as "EUR"', token=None)
        return format_currency(_number(value), code, locale=self._locale)

    def day(self, value: Any, style: Any = "medium") -> str:
        return format_date(_moment(value), format=_style(style), locale=self._locale)

    def moment(self, value: Any, style: Any = "medium") -> str:
        given = _moment(value)
        if not isinstance(given, datetime):
            raise FilterArgumentError("moment expects a date with a time", token=None)
        return format_datetime(given, format=_style(style), locale=self._locale)


def of(locale: str) -> dict[str, Filter]:
    """Return the filters of a language, by name; those of English for a language that CLDR does not know.

    ``{{ n | plural: one: "# item", other: "# items" }}`` takes the form CLDR names for the number, ``#`` is the number;
    ``number``, ``percent``, ``currency: "EUR"`` write numbers; ``day: "long"`` and ``moment: "short"`` write ISO dates.
    """
    spoken = _Spoken(_locale(locale))
    return {name: getattr(spoken, name) for name in NAMES}


_COUNTED = 201


def whole_number_forms(locale: str) -> frozenset[str]:
    """Return the plural forms that a language tells apart for the whole numbers people meet, and ``other``."""
    form = _locale(locale).plural_form
    return frozenset(form(count) for count in range(_COUNTED)) | {"other"}


@lru_cache(maxsize=256)
def _locale(name: str) -> Locale:
    try:
        return Locale.parse(name, sep="-")
    except (UnknownLocaleError, ValueError):
        return Locale("en")


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or value is None:
        raise FilterArgumentError("expected a number", token=None)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise FilterArgumentError("expected a number", token=None) from None
    # A number like 1e999999 would be written out digit by digit.
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        raise FilterArgumentError(f"expected a number of at most {_MOST_DIGITS} digits", token=None)
    return number


def _digits(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_DIGITS:
        raise FilterArgumentError(f"expected 0 to {_MOST_DIGITS} digits", token=None)
    return value


def _moment(value: Any) -> date:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value) if len(value) > len("2026-11-27") else date.fromisoformat(value)
        except ValueError:
            pass
    raise FilterArgumentError("expected an ISO 8601 date", token=None)


def _style(value: Any) -> Any:
    if value not in _STYLES:
        raise FilterArgumentError(f"expected one of {', '.join(_STYLES)}", token=None)
    return value
