"""Mapping files: YAML checked against the mapping's schema, every complaint with its key and its line."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from adapters import plain_yaml
from domain import faults
from domain.event_mapping import EventMapping

MOST_BYTES = 256 * 1024


class BadMapping(ValueError):
    """A mapping file cannot be used; the message names key and line."""


def load(path: Path, *, source: str | None = None) -> EventMapping:
    """Read a mapping file.

    Args:
        path: the file.
        source: the source of every event, instead of what the file says.

    Raises:
        BadMapping: it cannot be read, is no YAML, or is not a mapping; every fault is named.
    """
    try:
        written = path.read_bytes()
    except OSError as error:
        raise BadMapping(f"{path}: {error.strerror}") from None
    if len(written) > MOST_BYTES:
        raise BadMapping(f"{path}: larger than {MOST_BYTES} bytes, so probably not a mapping")
    tree = _tree(path, written)
    if not isinstance(tree, yaml.MappingNode):
        raise BadMapping(f"{path}: expected keys such as fields and time_zone")
    _refuse_repeats(path, tree)
    given = _values(path, tree)
    if source is not None and isinstance(given.get("fields"), dict):
        given["fields"]["source"] = {"constant": source}
    try:
        return EventMapping.model_validate(given)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        raise BadMapping("\n".join(_told(path, tree, fault) for fault in faults)) from None


def _tree(path: Path, written: bytes) -> yaml.Node | None:
    try:
        return plain_yaml.compose(written)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise BadMapping(f"{path}{line}: not YAML: {getattr(error, 'problem', None) or 'unreadable'}") from None


def _values(path: Path, tree: yaml.Node) -> Any:
    try:
        return plain_yaml.values(tree)
    except yaml.constructor.ConstructorError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadMapping(f"{path}:{line}: expected plain YAML: {error.problem}") from None


def _refuse_repeats(path: Path, node: yaml.Node) -> None:
    """Refuse a key that comes twice, of which YAML readers silently keep the last."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value in seen:
            raise BadMapping(f"{path}:{line}: {key.value} was given before, on line {seen[key.value]}")
        seen[key.value] = line
        _refuse_repeats(path, value)


def _told(path: Path, tree: yaml.MappingNode, fault: Any) -> str:
    message = f"expected {faults.expected(fault)}" if fault["type"] != "value_error" else faults.expected(fault)
    place = [str(part) for part in fault["loc"]]
    # The third part is which kind of specification pydantic took it for; the file does not have it.
    if place[0:1] == ["fields"]:
        del place[2:3]
    if not place:
        # A rule over the whole begins with the key it is about.
        key, _, message = message.partition(": ")
        place = ["fields", key.removeprefix("fields.")] if key.startswith("fields.") else [key]
    return f"{path}:{_line(tree, place)}: {'.'.join(place)}: {message}"


def _line(node: yaml.Node, place: Iterable[str]) -> int:
    """Return the line of the innermost key of a place that the file has."""
    line = node.start_mark.line + 1
    for part in place:
        found = [pair for pair in node.value if pair[0].value == part] if isinstance(node, yaml.MappingNode) else []
        if not found:
            break
        line, node = found[0][0].start_mark.line + 1, found[0][1]
    return line
