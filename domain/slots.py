"""Slots of a message: options for the subject, the call to action and the body, combined to variants.

A variant's id is its options' ids, so that it stays the same whatever is added beside it.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from domain.content_blocks import Named
from domain.item_features import ItemFeatures, merged
from domain.profiles import Locale
from domain.values import Channel, Frozen, Moment

Template = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
VariantId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
OptionId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,11}$")]
"""Three of them and what joins them are a variant's id."""
JOINT = "__"
MAX_COMBINATIONS = 50
MAX_GENERATED_SHARE = 0.2
FIELDS: Mapping[str, frozenset[str]] = {
    "subject": frozenset(("subject", "preheader")),
    "call_to_action": frozenset(("call_to_action", "link")),
    "body": frozenset(("body", "text")),
}
"""What the options of each slot say, in the order of a variant's id."""


class Generated(Frozen):
    """Where a variant comes from that no person wrote, who let it through, and how much traffic it may get."""

    by: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.:-]{0,79}$")] = Field(description="The generator.")
    approved_by: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="Who read and approved it; without approval it is not published."
    )
    approved_at: Moment | None = None
    traffic_share: float = Field(
        default=0.05, gt=0, le=MAX_GENERATED_SHARE, description="Most of the draws of a type that may fall on it."
    )

    @model_validator(mode="after")
    def _is_approved_whole(self) -> Self:
        if (self.approved_by is None) != (self.approved_at is None):
            raise ValueError("approved_by and approved_at must be given together")
        return self


class Part(Frozen):
    """What one option says on one channel; each slot has its own fields of these."""

    subject: Template | None = Field(default=None)
    preheader: Template | None = Field(default=None)
    call_to_action: Template | None = Field(default=None)
    link: Template | None = Field(default=None)
    body: Template | None = Field(default=None)
    text: Template | None = Field(default=None)


class Option(Frozen):
    """One way to fill a slot."""

    id: OptionId
    source: Named | None = Field(
        default=None, description="A text of the content system that is said instead; content where it cannot be had."
    )
    features: ItemFeatures | None = Field(
        default=None, description="What kind of words these are; a combination has those of all its options."
    )
    content: dict[Channel, Part] = Field(min_length=1)
    translations: dict[Locale, dict[Channel, Part]] = Field(default_factory=dict)


class Slots(Frozen):
    """The options of each slot; every combination of them is a variant."""

    subject: tuple[Option, ...] = ()
    call_to_action: tuple[Option, ...] = ()
    body: tuple[Option, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _can_be_combined(self) -> Self:
        for slot, options in self.filled():
            ids = [option.id for option in options]
            if len(set(ids)) != len(ids):
                raise ValueError(f"{slot} must have options with different ids")
            for option in options:
                _check_fields(slot, option)
        if (count := self.combinations()) > MAX_COMBINATIONS:
            raise ValueError(f"at most {MAX_COMBINATIONS} combinations, these are {count}")
        return self

    def filled(self) -> list[tuple[str, tuple[Option, ...]]]:
        """Return the slots that have options."""
        return [(slot, options) for slot in FIELDS if (options := getattr(self, slot))]

    def combinations(self) -> int:
        """Return how many variants there are."""
        count = 1
        for _, options in self.filled():
            count *= len(options)
        return count


def combined(slots: Slots, channels: Sequence[str] | None) -> Iterator[dict[str, Any]]:
    """Yield the variants as documents, by the order of the options.

    Args:
        slots: what is combined.
        channels: those of the type; a slot without an option's words for a channel leaves it out there.
    """
    wanted = [channel for channel in Channel if channels is None or channel.value in channels]
    for options in itertools.product(*(options for _, options in slots.filled())):
        locales = sorted(set().union(*(option.translations for option in options)))
        translated = {locale: _said(options, wanted, locale) for locale in locales}
        names = (slot for slot, _ in slots.filled())
        sources = {slot: each.source for slot, each in zip(names, options, strict=True) if each.source is not None}
        yield {
            "id": JOINT.join(option.id for option in options),
            "features": merged([option.features for option in options]),
            "sources": {slot: named.model_dump() for slot, named in sources.items()},
            "content": _said(options, wanted, None),
            "translations": {locale: said for locale, said in translated.items() if said},
        }


def _said(options: Sequence[Option], channels: Sequence[Channel], locale: str | None) -> dict[str, dict[str, Any]]:
    """Return what a combination says in a language by channel; never half in one language and half in another."""
    told: dict[str, dict[str, Any]] = {}
    for channel in channels:
        speaking = [option for option in options if channel in option.content]
        parts = [_part(option, channel, locale) for option in speaking]
        fields: dict[str, Any] = {}
        for part in parts:
            fields |= part.model_dump(exclude_none=True) if part is not None else {}
        if "body" in fields and None not in parts:
            told[channel.value] = fields
    return told


def _part(option: Option, channel: Channel, locale: str | None) -> Part | None:
    spoken = option.content if locale is None else option.translations.get(locale, {})
    return spoken.get(channel)


def _check_fields(slot: str, option: Option) -> None:
    for language in (option.content, *option.translations.values()):
        for channel, part in language.items():
            given = set(part.model_dump(exclude_none=True))
            if slot not in given or given - FIELDS[slot]:
                expected = " and maybe ".join([slot, *sorted(FIELDS[slot] - {slot})])
                raise ValueError(f"{slot}.{option.id}.{channel.value} must have {expected}")
