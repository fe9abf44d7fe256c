"""JSON Schemas that tenants write: of an object, valid, and complete in themselves."""

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import JsonValue


def check_object_schema(name: str, schema: dict[str, JsonValue]) -> None:
    """Check that a document is a JSON Schema of an object that refers to no other document.

    Args:
        name: the field the schema stands in, for the message.
        schema: the document.

    Raises:
        ValueError: with what was expected.
    """
    if schema.get("type") != "object":
        raise ValueError(f"{name} must be a JSON Schema of type object")
    if _refers_elsewhere(schema):
        raise ValueError(f"{name} must not refer to another document ($ref)")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = ".".join([name, *(str(part) for part in error.absolute_path)])
        raise ValueError(f"{place} is not valid JSON Schema") from None


def _refers_elsewhere(node: JsonValue) -> bool:
    if isinstance(node, dict):
        target = node.get("$ref", "#")
        return (
            not (isinstance(target, str) and target.startswith("#"))
            or "$dynamicRef" in node
            or any(_refers_elsewhere(part) for part in node.values())
        )
    return isinstance(node, list) and any(_refers_elsewhere(part) for part in node)
