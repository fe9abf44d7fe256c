"""What pydantic found wrong, told as a field and what was expected there; never with the value it found."""

import re
from typing import Any

_WHOLE = {
    "missing": "a value; this field is required",
    "extra_forbidden": "no field of this name",
    "json_invalid": "valid JSON",
}
_OPENINGS = (("Value error, ", ""), ("must be ", ""), ("Input should be ", ""), ("String should ", "text that should "))
_FIELD_CHARACTERS = 200
_INTERNAL = re.compile(r"\[key\]|[a-z-]+\[.*\]")
"""Parts of a place that name no field but which form was tried there, such as ``str-enum[Channel]``."""


def field(fault: Any) -> str:
    """Return where: names and positions with dots, empty for the whole.

    Args:
        fault: one of ``ValidationError.errors()``.
    """
    parts = (str(part) for part in fault["loc"])
    return ".".join(part for part in parts if not _INTERNAL.fullmatch(part))[:_FIELD_CHARACTERS]


def expected(fault: Any) -> str:
    """Return what would have been accepted, fit to stand after "expected"."""
    if fault["type"] in _WHOLE:
        return _WHOLE[fault["type"]]
    message = str(fault["msg"])
    for opening, instead in _OPENINGS:
        if message.startswith(opening):
            message = instead + message.removeprefix(opening)
    return message
