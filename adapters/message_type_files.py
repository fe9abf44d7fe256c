"""Message types as YAML files, one type per file: read, checked whole, and refused with file and field."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from adapters import plain_yaml
from domain import content, type_lint
from domain.content_lint import BrandRules
from domain.legal import publication
from domain.legal.publication import CannotPublish
from domain.message_types import MessageType
from domain.templates import CannotRender

SUFFIXES = (".yaml", ".yml")
MAX_FILE_BYTES = 1_000_000


class BadTypeFile(ValueError):
    """A file holds no message type that could be published; the message names file and field."""


def load(path: Path, brand: BrandRules | None = None) -> list[MessageType]:
    """Return the message types of a file, or of every YAML file in a folder, by file name.

    Raises:
        BadTypeFile: there is no such file, a file is no message type, lint finds an error in one, or two define the
            same type.
    """
    found = read(path)
    for file, definition in found:
        wrong = [each for each in type_lint.of_type(definition, brand) if each.is_error]
        if wrong:
            raise BadTypeFile(f"{file}: {wrong[0]}")
    return [definition for _, definition in found]


def read(path: Path) -> list[tuple[Path, MessageType]]:
    """Return the message types with their files as ``load`` does, without looking at what they say.

    Raises:
        BadTypeFile: there is no such file, a file is no message type, or two define the same type.
    """
    files = sorted(each for each in path.iterdir() if each.suffix in SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise BadTypeFile(f"{path}: expected at least one file that ends in .yaml")
    definitions = [_read(file) for file in files]
    seen: dict[str, Path] = {}
    for file, definition in zip(files, definitions, strict=True):
        if (other := seen.setdefault(definition.type, file)) is not file:
            raise BadTypeFile(f"{file}: type {definition.type} is already defined in {other}")
    return list(zip(files, definitions, strict=True))


def _read(file: Path) -> MessageType:
    try:
        definition = MessageType.model_validate(_document(file))
        content.check(definition)
        publication.check(definition)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise BadTypeFile(f"{file}: {f'{field}: ' if field else ''}{message}") from None
    except (CannotRender, CannotPublish) as error:
        raise BadTypeFile(f"{file}: {error}") from None
    return definition


def _document(file: Path) -> Any:
    try:
        text = file.read_bytes()
    except OSError as error:
        raise BadTypeFile(f"{file}: cannot be read ({error.strerror})") from None
    if len(text) > MAX_FILE_BYTES:
        raise BadTypeFile(f"{file}: expected at most {MAX_FILE_BYTES} bytes")
    try:
        return plain_yaml.load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise BadTypeFile(f"{file}: is not YAML{where}") from None
