"""Proposals: what a generator is asked for a type that is in force, and how an approved variant enters that type."""

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from domain import content, type_lint
from domain.content_lint import BrandRules
from domain.generation import Brief, NotApprovable
from domain.message_types import Content, MessageType, Variant
from domain.slots import FIELDS, MAX_COMBINATIONS, Option, Part, Slots
from domain.templates import CannotRender
from domain.text_reading import Reader
from domain.values import Channel

_NOT_YET = "generated.not_approved"
"""What lint says of every variant that waits; that is what it waits for."""
MAX_VARIANT_BYTES = 128 * 1024
"""One proposed variant as JSON, with all its languages."""
MAX_PROPOSED_BYTES = 1024 * 1024
"""All variants that are proposed at once, as JSON."""
_MOST_ERRORS = 20


class TooLarge(ValueError):
    """What a generator made is more than may be proposed; the message says what is expected."""


def brief_of(definition: MessageType, *, most: int, slots: Slots | None = None) -> Brief:
    """Return what to write variants for.

    Args:
        definition: the type in force.
        most: the most candidates to return.
        slots: options to combine; the parts of the type's own variants unless given.
    """
    return Brief(
        type=definition.type,
        channels=definition.channels,
        locale=definition.locale,
        variables=tuple(sorted(definition.defaults())),
        most=most,
        slots=slots or parts_of(definition),
    )


def parts_of(definition: MessageType) -> Slots | None:
    """Return the different parts of a type's variants as options of slots, at most ``MAX_COMBINATIONS`` of them.

    An option's id is the first letter of its slot and its number in the order of the variants. None where every
    combination is there already.
    """
    if definition.slots is not None:
        return None
    found = {slot: _options(definition, slot) for slot in FIELDS}
    while _count(found) > MAX_COMBINATIONS:
        found[max(found, key=lambda slot: len(found[slot]))].pop()
    return Slots.model_validate({slot: tuple(options) for slot, options in found.items()}) if found["body"] else None


def _options(definition: MessageType, slot: str) -> list[Option]:
    seen: dict[str, Option] = {}
    for variant in definition.variants:
        said = _part(variant.content, slot)
        if not said:
            continue
        spoken = {locale: part for locale, blocks in variant.translations.items() if (part := _part(blocks, slot))}
        source = next((named for name, named in variant.sources.items() if name == slot), None)
        option = Option(id=f"{slot[0]}{len(seen) + 1}", source=source, content=said, translations=spoken)
        seen.setdefault(option.model_dump_json(exclude={"id"}), option)
    return list(seen.values())


def _part(blocks: Mapping[Channel, Content], slot: str) -> dict[Channel, Part]:
    fields = {channel: each.model_dump(include=set(FIELDS[slot])) for channel, each in blocks.items()}
    return {channel: Part(**given) for channel, given in fields.items() if given.get(slot) is not None}


def _count(options: Mapping[str, list[Option]]) -> int:
    count = 1
    for each in options.values():
        count *= max(1, len(each))
    return count


def fresh(made: Iterable[Variant], known: Iterable[Variant], *, most: int) -> list[Variant]:
    """Return the first variants that say what none of the known ones and none before them says.

    Args:
        made: by a generator, the best first; what is not returned is not looked at any further.
        known: those of the type.
        most: how many are wanted.

    Raises:
        TooLarge: one of those, or all together, are more text than may be proposed.
    """
    found: list[Variant] = []
    seen = {_digest(each) for each in known}
    for variant in made:
        if len(found) < most and (said := _digest(variant)) not in seen:
            seen.add(said)
            found.append(variant)
    _check_sizes(found)
    return found


def _digest(variant: Variant) -> bytes:
    said = variant.model_dump(mode="json", include={"content", "translations", "sources"})
    return sha256(json.dumps(said, sort_keys=True).encode()).digest()


def _check_sizes(variants: Sequence[Variant]) -> None:
    sizes = [len(each.model_dump_json().encode()) for each in variants]
    if max(sizes, default=0) > MAX_VARIANT_BYTES:
        raise TooLarge(f"at most {MAX_VARIANT_BYTES // 1024} KB of one variant with all its languages")
    if sum(sizes) > MAX_PROPOSED_BYTES:
        raise TooLarge(f"at most {MAX_PROPOSED_BYTES // 1024} KB of all variants together; ask for fewer")


def errors_of(definition: MessageType, variant: Variant, brand: BrandRules, reader: Reader | None = None) -> list[str]:
    """Return why a variant cannot be one of a type, the first 20 reasons: form, templates, lint, the brand rules.

    Args:
        definition: the type in force.
        variant: what it would have besides its own.
        brand: the tenant's words and tone.
        reader: estimates languages and tones; they are not looked at without it.
    """
    if variant.id in {each.id for each in definition.variants}:
        return ["another variant of the type has this id"]
    alone = {"default_variant": None, "quality_threshold": None}
    try:
        made = _with(definition, [variant], alone)
        content.check(made)
    except (ValidationError, CannotRender) as error:
        return [_plain(error)]
    found = [str(each) for each in type_lint.of_type(made, brand, reader) if each.is_error and each.code != _NOT_YET]
    return found[:_MOST_ERRORS]


def joined(definition: MessageType, variant: Variant) -> MessageType:
    """Return a type with one more variant, which was linted and approved.

    The options of slots become the variants they stand for, under the same ids: the new one is none of their
    combinations.

    Raises:
        NotApprovable: it does not fit the type.
    """
    try:
        return _with(definition, [*definition.variants, variant], {})
    except ValidationError as error:
        raise NotApprovable(f"{variant.id} cannot be approved: {_plain(error)}") from None


def _with(definition: MessageType, variants: Iterable[Variant], changes: Mapping[str, Any]) -> MessageType:
    document = definition.document() | {"slots": None} | dict(changes)
    told = [each.model_dump(mode="json", by_alias=True) for each in variants]
    return MessageType.model_validate(document | {"variants": told})


def _plain(error: ValidationError | CannotRender) -> str:
    """Return the first fault in one line, without what was given."""
    if isinstance(error, CannotRender):
        return str(error)
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])
