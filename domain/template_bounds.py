"""Bounds of a template that a stranger wrote: what one step of it could blow up by itself is refused before it happens.

The library limits loops, what is written and what is assigned, all after the fact, and reads some templates in the
square of their length. Here are how a template may be written, and what each filter may take and give.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from liquid.exceptions import FilterArgumentError

MAX_TEMPLATE = 20_000
"""Characters."""
MAX_TAGS = 500
MAX_TAG = 2_000
"""Characters between the marks of one tag."""
LOOP_LIMIT = 1_000
VALUE_LIMIT = 200_000
"""Characters and items of one value, all within it counted."""
MAX_BITS = 256
WORK_LIMIT = 2_000_000
"""Characters and items that all filters of one text may take and give together, each call counted as 100 more."""
_CALL = 100
_MAX_BLANKS = 100
_MARK = re.compile(r"\{\{|\}\}|\{%|%\}")
_ENDS = {"{{": "}}", "{%": "%}"}
_RAW = re.compile(r"-?\s*(raw|doc)\b")
_BLANKS = re.compile(rf"\s{{{_MAX_BLANKS}}}")
_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_RANGE = re.compile(r"\(\s*(-?\d{1,9})\s*\.\.\s*(-?\d{1,9})\s*\)")
_TAG = re.compile(r"<[^<>]*>")

Filter = Callable[..., Any]


def fault(template: str) -> str | None:
    """Return what is expected of a template instead, or None for one that can be read in time."""
    if len(template) > MAX_TEMPLATE:
        return f"at most {MAX_TEMPLATE} characters"
    opened, inside_from, tags = "", 0, 0
    for mark in _MARK.finditer(template):
        if mark[0] in _ENDS:
            if opened:
                return f"{_ENDS[opened]} before the next {mark[0]}"
            opened, inside_from, tags = mark[0], mark.end(), tags + 1
        elif opened and mark[0] == _ENDS[opened]:
            if (fault := _inside_fault(opened, template[inside_from : mark.start()])) is not None:
                return fault
            opened = ""
    if opened:
        return f"{_ENDS[opened]} after {opened}"
    return f"at most {MAX_TAGS} tags" if tags > MAX_TAGS else None


def _inside_fault(opened: str, inside: str) -> str | None:
    if not inside.strip("- \t\r\n"):
        return f"something between {opened} and {_ENDS[opened]}"
    if len(inside) > MAX_TAG:
        return f"at most {MAX_TAG} characters between {opened} and {_ENDS[opened]}"
    if _BLANKS.search(inside):
        return f"fewer than {_MAX_BLANKS} blanks in a row"
    if opened == "{%" and _RAW.match(inside):
        return "no tag raw or doc"
    bare = _STRING.sub("''", inside)
    wide = [found for found in _RANGE.finditer(bare) if int(found[2]) - int(found[1]) >= LOOP_LIMIT]
    if wide or ".." in _RANGE.sub("", bare):
        return f"a range of two whole numbers, less than {LOOP_LIMIT} apart"
    return None


def _size(value: Any) -> int:
    """Return the size of a value, all within it counted.

    Raises:
        FilterArgumentError: it is larger than any text may be.
    """
    left = VALUE_LIMIT
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, int) and each.bit_length() > MAX_BITS:
            raise FilterArgumentError("expected a smaller number", token=None)
        left -= len(each) if isinstance(each, str | range) else 1
        if isinstance(each, dict):
            waiting += list(each.values())
        elif isinstance(each, list | tuple):
            waiting += each
        if left < 0 or len(waiting) > VALUE_LIMIT:
            raise FilterArgumentError("expected a smaller value", token=None)
    return VALUE_LIMIT - left


class _Work:
    """What the filters of the text that is being filled may still take."""

    def __init__(self) -> None:
        self.left = WORK_LIMIT

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise FilterArgumentError("expected less work for filters", token=None)


_WORK: ContextVar[_Work] = ContextVar("liquid work")


@contextmanager
def working() -> Iterator[None]:
    """Let filters work within one text's limit."""
    begun = _WORK.set(_Work())
    try:
        yield
    finally:
        _WORK.reset(begun)


def bounded(name: str, function: Filter) -> Filter:
    """Return a filter that refuses what is too large to take, and whatever would come out too large."""
    grown = _GROWS.get(name)

    @wraps(function)
    def within(left: Any, *args: Any, **named: Any) -> Any:
        given = (left, *args, *(value for key, value in named.items() if key not in _PASSED))
        work = _WORK.get(None) or _Work()
        work.take(_CALL + sum(map(_size, given)))
        if grown is not None and grown(left, *args) > VALUE_LIMIT:
            raise FilterArgumentError("expected a smaller result", token=None)
        result = function(left, *args, **named)
        work.take(_size(result))
        return result

    return within


_PASSED = ("context", "environment")


def _after_replacing(left: Any = "", old: Any = "", new: Any = "", *_: Any) -> int:
    text, wanted = str(left), str(old)
    return len(text) + (text.count(wanted) if wanted else len(text) + 1) * len(str(new))


def _after_joining(left: Any = (), between: Any = " ", *_: Any) -> int:
    items = left if isinstance(left, list | tuple | range) else (left,)
    return sum(len(str(item)) for item in items) + len(items) * len(str(between))


_GROWS: Mapping[str, Callable[..., int]] = {"replace": _after_replacing, "join": _after_joining}
"""Filters whose result may be as large as the product of what they take."""


def strip_html(text: Any) -> str:
    """Return the text without tags; the library's own takes the square of the length."""
    return _TAG.sub("", str(text) if text is not None else "")
