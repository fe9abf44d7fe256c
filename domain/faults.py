"""What pydantic found wrong, told as a field and what was expected there; never with the value it found."""

from typing import Any

_WHOLE = {
    "missing": "a value; this field is required",
    "extra_forbidden": "no field of this name",
    "json_invalid": "valid JSON",
}
_OPENINGS = (("Value error, ", ""), ("must be ", ""), ("Input should be ", ""), ("String should ", "text that should "))
_FIELD_CHARACTERS = 200


def field(fault: Any) -> str:
    """Return where: names and positions with dots, empty for the whole.

    Args:
        fault: one of ``ValidationError.errors()``.
    """
    return ".".join(str(part) for part in fault["loc"] if part != "[key]")[:_FIELD_CHARACTERS]


def expected(fault: Any) -> str:
    """Return what would have been accepted, fit to stand after "expected"."""
    if fault["type"] in _WHOLE:
        return _WHOLE[fault["type"]]
    message = str(fault["msg"])
    for opening, instead in _OPENINGS:
        if message.startswith(opening):
            message = instead + message.removeprefix(opening)
    return message
