"""The OpenAPI 3.1 document: what FastAPI finds, plus the bodies and problems that our dependencies add.

Whatever a dependency can answer is derived from it here, so that a route cannot forget to say it.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from pydantic.json_schema import models_json_schema

from serving.http import errors
from serving.http.auth import Required, dependencies, is_own_part
from serving.http.conditional import is_conditional
from serving.http.errors import MEDIA_TYPE, Problem
from serving.http.rate_limit import RateLimited
from serving.http.routes import attempt
from serving.http.strict_body import BodyIs

_REF = "#/components/schemas/{model}"
_DESCRIPTION = """One decision per notification: whether, what, on which channel and when, with the reasons.

`x-permission` of an operation is what a credential must be allowed to do; recipients reach what is marked
`x-own-data`, and of it what is theirs.

Every refusal is a problem document (RFC 9457) with a stable `code`; it names the field and what was expected.
"""


def install(app: FastAPI) -> None:
    """Make ``app.openapi()`` return the complete document; it is built once, on first use."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=_DESCRIPTION,
        routes=app.routes,
    )
    bodies: dict[str, type[Any]] = {}
    for context in iter_route_contexts(app.routes):
        if not getattr(context, "include_in_schema", False):
            continue
        calls = list(dependencies(context))
        for method in context.methods or ():
            operation = document["paths"][context.path_format][method.lower()]
            for call in calls:
                if isinstance(call, BodyIs):
                    bodies |= {model.__name__: model for model in call.models}
            _complete(operation, calls)
            _say_more(operation, context)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    models = [(model, "validation") for model in (Problem, *bodies.values())]
    schemas |= models_json_schema(models, ref_template=_REF)[1]["$defs"]  # type: ignore[arg-type]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def _complete(operation: dict[str, Any], calls: list[Any]) -> None:
    for call in calls:
        if isinstance(call, Required):
            operation["x-permission"] = call.permission.value
        if isinstance(call, BodyIs):
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _choice(call)}}}
    statuses = _failures(calls)
    if "422" in operation["responses"]:
        statuses.add(422)
        del operation["responses"]["422"]
    for status, response in errors.problems(*statuses).items():
        told = {"description": response["description"], "content": {MEDIA_TYPE: {"schema": _ref(Problem)}}}
        operation["responses"].setdefault(str(status), told)
    for response in operation["responses"].values():
        content = response.get("content", {})
        if content.get("application/json", {}).get("schema") == _ref(Problem):
            content[MEDIA_TYPE] = content.pop("application/json")


def _say_more(operation: dict[str, Any], context: Any) -> None:
    if is_conditional(context.endpoint):
        _say_conditional(operation)
    if is_own_part(context.endpoint) or "recipient_id" in (context.path_format or ""):
        operation["x-own-data"] = True


def _say_conditional(operation: dict[str, Any]) -> None:
    told = "The `ETag` you have, or several; the answer is 304 when it has not changed."
    header = {"name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"}}
    operation.setdefault("parameters", []).append({**header, "description": told})
    operation["responses"]["304"] = {"description": "What you have is what there is; no body."}
    tag = {"description": "The version, in quotes.", "schema": {"type": "string"}}
    operation["responses"]["200"].setdefault("headers", {})["ETag"] = tag


def _failures(calls: list[Any]) -> set[int]:
    """Return the statuses with which a route's dependencies may refuse."""
    # An address that cannot be read is refused before there is a route.
    statuses = {400, 500}
    if any(isinstance(call, Required) for call in calls):
        statuses |= {401, 403, 503}
    if any(isinstance(call, RateLimited) for call in calls):
        statuses.add(429)
    if attempt in calls:
        statuses |= {409, 422}
    if any(isinstance(call, BodyIs) for call in calls):
        statuses |= {408, 413, 415, 422}
    return statuses


def _choice(body: BodyIs) -> dict[str, Any]:
    refs = [_ref(model) for model in body.models]
    return refs[0] if len(refs) == 1 else {"oneOf": refs}


def _ref(model: type[Any]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}
