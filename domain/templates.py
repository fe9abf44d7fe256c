"""Templates: Liquid text filled safely and within limits.

They hold no code, know no clock, cannot loop or write without end, and a variable that nobody declared is an error
instead of a gap. What a variable holds is never read as a template.
"""

from collections.abc import Mapping
from functools import lru_cache

from liquid import BoundTemplate, Environment, StrictUndefined
from liquid.exceptions import LiquidError
from pydantic import JsonValue

from domain import locale_filters, template_bounds

OUTPUT_LIMIT_BYTES = 200_000
NAMESPACE_LIMIT_BYTES = 200_000
DEPTH_LIMIT = 20
_NO_FILTERS = ("date", "safe", "base64_decode", "base64_url_safe_decode", "url_decode")
"""``date`` reads the clock; the others let a variable's text past the escaping."""
_NO_TAGS = ("include", "render")


_FAILURES = (LiquidError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What the library's filters raise when they are given what they did not expect."""


class CannotRender(ValueError):
    """A template cannot be read or filled; the message names the field and not the value."""


class _Limited(Environment):
    loop_iteration_limit = template_bounds.LOOP_LIMIT
    output_stream_limit = OUTPUT_LIMIT_BYTES
    local_namespace_limit = NAMESPACE_LIMIT_BYTES
    context_depth_limit = DEPTH_LIMIT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for name in _NO_FILTERS:
            self.filters.pop(name, None)
        for name in _NO_TAGS:
            self.tags.pop(name, None)


def filled(template: str, part: str, *, locale: str, is_markup: bool, values: Mapping[str, JsonValue]) -> str:
    """Fill a template.

    Args:
        template: Liquid text.
        part: its name, for errors.
        locale: the language of plurals, numbers and days.
        is_markup: HTML or SSML: variables are escaped.
        values: of every variable it may use.

    Raises:
        CannotRender: it cannot be filled with these, or goes beyond a limit.
    """
    found = _parsed(template, part, locale, is_markup=is_markup)
    try:
        with template_bounds.working():
            return str(found.render(**values))
    except _FAILURES as error:
        raise CannotRender(f"the {part} cannot be filled: {type(error).__name__}") from None


def used(template: str, part: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the variables and of the filters that a template uses.

    Raises:
        CannotRender: it is no template.
    """
    found = _parsed(template, part, "en", is_markup=False).analyze()
    return frozenset(found.globals), frozenset(found.filters)


def knows_filter(name: str) -> bool:
    """Tell whether templates may use a filter."""
    return name in _environment("en", is_markup=False).filters


@lru_cache(maxsize=1024)
def _parsed(template: str, part: str, locale: str, *, is_markup: bool) -> BoundTemplate:
    if (fault := template_bounds.fault(template)) is not None:
        raise CannotRender(f"{part} is not a Liquid template: expected {fault}")
    try:
        return _environment(locale, is_markup=is_markup).from_string(template)
    except LiquidError as error:
        raise CannotRender(f"{part} is not a Liquid template: {type(error).__name__}") from None


@lru_cache(maxsize=64)
def _environment(locale: str, *, is_markup: bool) -> Environment:
    made = _Limited(undefined=StrictUndefined, autoescape=is_markup)
    made.filters |= locale_filters.of(locale) | {"strip_html": template_bounds.strip_html}
    for name, function in list(made.filters.items()):
        made.filters[name] = template_bounds.bounded(name, function)
    return made
