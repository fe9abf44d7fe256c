"""Variables to try a template with: values its schema allows, the same ones every time."""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

_TEXT = "Sample text"
_FORMATS = {
    "uri": "https://example.com/sample",
    "date-time": "2026-03-01T09:30:00Z",
    "date": "2026-03-01",
    "email": "sample@example.com",
}
_DEPTH = 5


def sample(schema: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a value for every variable that a schema declares: its example, its default, or one of its type."""
    found = _of(schema, _DEPTH)
    return found if isinstance(found, dict) else {}


def _of(rule: Any, depth: int) -> JsonValue:
    if not isinstance(rule, dict) or depth == 0:
        return None
    told: list[JsonValue] = [*_listed(rule.get("examples")), *_listed(rule.get("enum"))]
    told += [rule[name] for name in ("const", "default") if rule.get(name) is not None]
    if told:
        return told[0]
    kind = rule.get("type")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    properties = rule.get("properties")
    if kind == "object" or properties:
        named = properties if isinstance(properties, dict) else {}
        return {name: _of(each, depth - 1) for name, each in named.items()}
    if kind == "array":
        return [_of(rule.get("items"), depth - 1)] if rule.get("items") else []
    return _scalar(kind, rule)


def _listed(value: Any) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _scalar(kind: Any, rule: Mapping[str, Any]) -> JsonValue:
    if kind in {"integer", "number"}:
        least = rule.get("minimum", rule.get("exclusiveMinimum", 0))
        return least + 1 if isinstance(least, int | float) and least >= 1 else 1
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    text = _FORMATS.get(str(rule.get("format")), _TEXT)
    most = rule.get("maxLength")
    return text[:most] if isinstance(most, int) else text
