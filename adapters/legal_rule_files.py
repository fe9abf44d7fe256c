"""Rule sets as YAML: the published ones beside ``domain.legal``, or a file of one's own; checked whole when read."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from adapters import plain_yaml
from domain.legal.rules import RuleSet

SUFFIX = ".yaml"
MAX_FILE_BYTES = 1_000_000


class BadRules(ValueError):
    """There is no such rule set, or a file holds none; the message names file and field."""


def versions() -> list[str]:
    """Return the versions that come with Kairos, oldest first."""
    names = (each.name for each in files("domain.legal").iterdir())
    return sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))


@cache
def published(version: str) -> RuleSet:
    """Return a rule set that comes with Kairos.

    Raises:
        BadRules: there is none of this version.
    """
    if version not in versions():
        raise BadRules(f"there is no rule set {version}; there are: {', '.join(versions())}")
    name = f"{version}{SUFFIX}"
    found = _parsed(name, files("domain.legal").joinpath(name).read_bytes())
    if found.version != version:
        raise BadRules(f"{name}: version must be {version}, as the file is called")
    return found


def load(name: str) -> RuleSet:
    """Return a published version, or the rule set of a YAML file.

    Raises:
        BadRules: it is neither.
    """
    if not name.endswith(SUFFIX):
        return published(name)
    try:
        text = Path(name).read_bytes()
    except OSError as error:
        raise BadRules(f"{name}: cannot be read ({error.strerror})") from None
    return _parsed(name, text)


def _parsed(name: str, text: bytes) -> RuleSet:
    if len(text) > MAX_FILE_BYTES:
        raise BadRules(f"{name}: expected at most {MAX_FILE_BYTES} bytes")
    try:
        document: Any = plain_yaml.load(text)
        return RuleSet.model_validate(document)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise BadRules(f"{name}: is not YAML{f' at line {mark.line + 1}' if mark is not None else ''}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise BadRules(f"{name}: {f'{field}: ' if field else ''}{message}") from None
