"""``fields=``: part of an answer, by dotted names, at every route below ``/v1`` that reads a JSON object or list.

It takes away from what the caller would be answered anyway and never adds; headers, the ETag too, are the whole's.
"""

import inspect
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Annotated, Any, TypeAlias

from fastapi import Query, Request, Response
from pydantic import TypeAdapter

from serving.http.errors import FieldError, Refused
from serving.http.problem_codes import declared

UNKNOWN_FIELD = declared("request.unknown_field", 400, "`fields` asks for a name that the answer does not have.")
ALWAYS = "next_cursor"
"""Stays in every answer that has it: a page without it looks like the last."""
MOST_NAMES = 64
_MAX_CHARACTERS = 2_000
_OPEN: dict[str, Any] = {}
"""The schema of a value that may be anything."""
_ANY_NAME = "*"

Tree: TypeAlias = dict[str, "Tree | None"]
"""What is wanted below each name; None is all of it."""

Asked = Annotated[
    str | None,
    Query(
        alias="fields",
        max_length=_MAX_CHARACTERS,
        description="Only these parts of the answer: names separated by commas, a dot between a name and one below it "
        "(`entries.actor`). In a list they apply to each item. `next_cursor` always stays; the `ETag` is the whole's.",
    ),
]


class Fields:
    """A dependency that notes which part of the answer is wanted; ``answer`` is what the route's handler returns."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __call__(self, request: Request, asked: Asked = None) -> None:
        """Note it.

        Raises:
            Refused: 400, naming what the answer does not have and what it has in that place.
        """
        if asked is not None:
            request.state.fields = self.tree(asked)

    @cached_property
    def _schema(self) -> dict[str, Any]:
        # On first use: most routes are never asked for a part, and a start should not wait for all of them.
        return TypeAdapter(self._answer).json_schema(mode="serialization")

    def tree(self, asked: str) -> Tree:
        """Return the names as a tree.

        Raises:
            Refused: 400, see the call.
        """
        names = [each.strip() for each in asked.split(",")]
        if len(names) > MOST_NAMES:
            raise _unknown("fields", f"at most {MOST_NAMES} names")
        tree: Tree = {}
        for name in names:
            parts = name.split(".")
            self._check(parts)
            _add(tree, parts)
        return tree

    def _check(self, parts: list[str]) -> None:
        level = [self._schema]
        for depth, part in enumerate(parts):
            below = dict(self._below(level))
            if part in below:
                level = below[part]
            elif part and _ANY_NAME in below:
                level = below[_ANY_NAME]
            else:
                raise _unknown(".".join(("fields", *parts[: depth + 1])), _allowed(parts[:depth], below))

    def _below(self, schemas: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Yield each name that may stand below a value of these forms, with the forms of what it names."""
        found: dict[str, list[dict[str, Any]]] = {}
        for schema in self._objects(schemas, set()):
            for name, form in schema.get("properties", {}).items():
                found.setdefault(name, []).append(form)
            others = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
            if not others[:-1] and not schema.get("properties") and others[-1] is None:
                others = [_OPEN]
            for form in others:
                if form not in (None, False):
                    found.setdefault(_ANY_NAME, []).append(form if isinstance(form, dict) else _OPEN)
        yield from found.items()

    def _objects(self, schemas: list[dict[str, Any]], seen: set[str]) -> Iterator[dict[str, Any]]:
        """Yield the forms of objects among these, through references, choices and lists."""
        for schema in schemas:
            if (reference := schema.get("$ref")) is not None:
                if reference not in seen:
                    named = self._schema["$defs"][reference.rpartition("/")[2]]
                    yield from self._objects([named], seen | {reference})
                continue
            choices = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
            items = [*schema.get("prefixItems", ()), *([schema["items"]] if schema.get("items") else ())]
            yield from self._objects(choices + items, seen)
            described = {name: value for name, value in schema.items() if name not in _SAYS_NOTHING}
            if not described or schema.get("type") == "object":
                yield schema if described else _OPEN


_SAYS_NOTHING = frozenset({"title", "description", "default", "examples"})


def reads_json(answer: Any) -> bool:
    """Whether a handler returns something that is answered as JSON, from the annotation of what it returns."""
    is_response = isinstance(answer, type) and issubclass(answer, Response)
    return answer not in (None, inspect.Signature.empty) and not is_response


def narrowed(response: Response, request: Request) -> Response:
    """Return the part of an answer that was asked for."""
    tree: Tree | None = getattr(request.state, "fields", None)
    is_json = response.headers.get("content-type", "").partition(";")[0] == "application/json"
    if tree is None or not is_json or response.status_code != HTTPStatus.OK:
        return response
    part = _part(json.loads(bytes(response.body)), {ALWAYS: None} | tree)
    body = json.dumps(part, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(body, response.status_code, headers, background=response.background)


def _part(value: Any, tree: Mapping[str, Tree | None]) -> Any:
    if isinstance(value, list):
        return [_part(each, tree) for each in value]
    if not isinstance(value, dict):
        return value
    wanted = {name: tree[name] for name in value if name in tree}
    return {name: value[name] if below is None else _part(value[name], below) for name, below in wanted.items()}


def _add(tree: Tree, parts: list[str]) -> None:
    *path, last = parts
    for part in path:
        below = tree.setdefault(part, {})
        if below is None:
            return  # all of it is wanted already
        tree = below
    tree[last] = None


def _allowed(path: list[str], below: Mapping[str, Any]) -> str:
    names = [".".join((*path, name)) for name in sorted(below) if name != _ANY_NAME]
    if _ANY_NAME in below:
        return "a name"
    return f"one of {', '.join(names)}" if names else f"nothing below {'.'.join(path)}"


def _unknown(field: str, expected: str) -> Refused:
    problem = FieldError(field=field, expected=expected)
    return Refused(UNKNOWN_FIELD, "The answer has no part of this name.", errors=[problem])
