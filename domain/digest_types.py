"""A digest as a message type of its own: what is sent of several messages is one of the same kind as each of them."""

from typing import Any

from pydantic import JsonValue

from domain.handover import Follows, Kind
from domain.message_types import DIGEST_VARIANT, MessageType, Variant
from domain.sample_variables import sample

ITEMS, COUNT = "items", "count"
"""The variables of a digest's templates: each message's own, the oldest first, and how many there are."""


def as_type(definition: MessageType) -> MessageType:
    """Return a type's digest as a message type of its own: the same name and class, one variant, two variables.

    Raises:
        ValueError: the type has no digest.
    """
    digest = definition.digest
    if digest is None:
        raise ValueError("digest: expected a type that has one")
    said = Variant(id=DIGEST_VARIANT, content=digest.content, translations=digest.translations)
    return definition.model_copy(
        update={
            "channels": tuple(each for each in definition.channels if each in digest.content),
            "variants": (said,),
            "slots": None,
            "variables": _variables(definition),
            "default_variant": None,
            "quality_threshold": None,
            "variant_policy": None,
            "digest": None,
        }
    )


def _variables(definition: MessageType) -> dict[str, JsonValue]:
    example: Any = [definition.defaults() | sample(definition.variables)] * 2
    properties: dict[str, JsonValue] = {
        ITEMS: {"type": "array", "items": {"type": "object"}, "examples": [example]},
        COUNT: {"type": "integer", "examples": [len(example)]},
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def followed(definition: MessageType, follows: Follows | None) -> MessageType:
    """Return the type that a decision is about: the digest's, where the decision is about a digest."""
    is_digest = follows is not None and follows.kind is Kind.DIGEST and definition.digest is not None
    return as_type(definition) if is_digest else definition
