"""Requests made from the served OpenAPI document: one for every operation, valid as far as its schemas tell."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

METHODS = ("get", "put", "post", "patch", "delete", "head", "options")
_BY_FORMAT = {"date-time": "2026-03-01T09:30:00+01:00", "date": "2026-03-01"}
_DEEPEST = 8


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    method: str
    path: str
    permission: str | None
    spec: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method.upper()} {self.path}"


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Yield every operation of a document."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield Operation(method, path, item[method].get("x-permission"), item[method])


@dataclass(frozen=True)
class Builder:
    """Makes requests; ``known`` gives the values of fields and parameters by their names."""

    document: Mapping[str, Any]
    known: Mapping[str, Any]

    def request(self, operation: Operation) -> dict[str, Any]:
        """Return the arguments of ``httpx.Client.request``."""
        path, query = operation.path, {}
        for parameter in operation.spec.get("parameters", ()):
            if parameter["in"] == "path":
                value = str(self._value(parameter["name"], parameter["schema"], 0))
                path = path.replace(f"{{{parameter['name']}}}", value)
            elif parameter["in"] == "query" and (parameter.get("required") or parameter["name"] in self.known):
                query[parameter["name"]] = self._value(parameter["name"], parameter["schema"], 0)
        request: dict[str, Any] = {"method": operation.method.upper(), "url": path, "params": query}
        content = operation.spec.get("requestBody", {}).get("content", {})
        if "application/json" in content:
            request["json"] = self._instance(content["application/json"]["schema"], 0)
        return request

    def _value(self, name: str, schema: Mapping[str, Any], depth: int) -> Any:
        return self.known[name] if name in self.known else self._instance(schema, depth)

    def _instance(self, schema: Mapping[str, Any], depth: int) -> Any:
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        for word in ("anyOf", "oneOf", "allOf"):
            if word in schema:
                return self._instance(schema[word][0], depth + 1)
        if "const" in schema or "enum" in schema:
            return schema["const"] if "const" in schema else schema["enum"][0]
        if depth > _DEEPEST:
            return None
        return self._plain(schema, depth)

    def _plain(self, schema: Mapping[str, Any], depth: int) -> Any:
        kind = schema.get("type")
        if kind == "object" or "properties" in schema:
            fields = schema.get("properties", {})
            named = [name for name in fields if name in schema.get("required", ()) or name in self.known]
            return {name: self._value(name, fields[name], depth + 1) for name in named}
        if kind == "array":
            return [self._instance(schema.get("items", {}), depth + 1)] * schema.get("minItems", 0)
        if kind in ("integer", "number"):
            return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        if kind == "boolean":
            return True
        return _BY_FORMAT.get(schema.get("format", ""), "a" * max(1, schema.get("minLength", 1)))
