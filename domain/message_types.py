"""Message types: what a message is, as published in versions: class, channels, variants, variables, windows.

A type that could not be rendered is not published: every variant has content for every channel of the type, and
the schema of its variables is itself valid.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import time
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic import AfterValidator, Field, JsonValue, StringConstraints, model_validator

from domain.content_blocks import Named, SlotName
from domain.events import Name
from domain.item_features import ItemFeatures
from domain.must_reach import MustReach
from domain.object_schema import check_object_schema
from domain.policy import VariantPolicy
from domain.profiles import Locale
from domain.request_context import ExternalName
from domain.slots import FIELDS, Generated, Slots, Template, VariantId, combined
from domain.values import Channel, Frozen, MessageClass
from domain.weekly_windows import WallTime, Weekday

MAX_VARIANTS = 50
MAX_WINDOW_HOURS = 24 * 90
MAX_DIGEST = 50
DIGEST_VARIANT = "digest"
"""What a digest is called among the variants of its type."""


def _no_variables() -> dict[str, JsonValue]:
    return {"type": "object", "additionalProperties": False}


class Content(Frozen):
    """Templates of one message on one channel: Liquid text, filled with the request's variables."""

    subject: Template | None = Field(default=None, description="E-mail's subject; the title of a push.")
    preheader: Template | None = Field(default=None, description="What an inbox shows after an e-mail's subject.")
    body: Template
    text: Template | None = Field(
        default=None, description="An e-mail's plain-text part; made from the body where it is not given."
    )
    call_to_action: Template | None = Field(default=None, description="The words of the button or link.")
    link: Template | None = Field(default=None, description="Where it leads: https, or a scheme of link_schemes.")

    def parts(self) -> dict[str, str]:
        """Return the templates there are, by name."""
        return {name: value for name, value in self.model_dump().items() if value is not None}


class Variant(Frozen):
    """One way of saying it."""

    id: VariantId
    generated: Generated | None = Field(default=None, description="Set when a generator wrote it and not a person.")
    features: ItemFeatures | None = Field(
        default=None, description="What kind of words these are; a new variant is judged by others of its kind."
    )
    sources: dict[SlotName, Named] = Field(
        default_factory=dict,
        description="Slots that a text of the content system fills; content where it cannot be had.",
    )
    content: dict[Channel, Content] = Field(min_length=1)
    translations: dict[Locale, dict[Channel, Content]] = Field(
        default_factory=dict, description="The same in other languages; what is missing falls back to content."
    )

    def in_language(self, channel: Channel, wanted: Iterable[str]) -> tuple[str | None, Content]:
        """Return the content of a channel in the first wanted language there is, and which that is (None: content)."""
        for locale in wanted:
            if (found := self.translations.get(locale, {}).get(channel)) is not None:
                return locale, found
        return None, self.content[channel]


def fields_of(slot: str, channel: Channel) -> list[str]:
    """Return what a slot may say on a channel."""
    return [name for name in sorted(FIELDS[slot]) if channel in _ONLY_ON.get(name, frozenset(Channel))]


def _leads_to_an_app(scheme: str) -> str:
    if scheme in {"javascript", "data", "vbscript", "file", "blob", "about"}:
        raise ValueError("expected a scheme of an app; this one runs or reads what is in the address")
    return scheme


Scheme = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]{1,40}$"), AfterValidator(_leads_to_an_app)]
_ONLY_ON = {
    "preheader": frozenset({Channel.EMAIL}),
    "text": frozenset({Channel.EMAIL}),
    "call_to_action": frozenset(Channel) - {Channel.SMS, Channel.VOICE},
    "link": frozenset(Channel) - {Channel.VOICE},
}


def _fits_channels(place: str, blocks: Mapping[Channel, Content]) -> None:
    for channel, content in blocks.items():
        for name in content.parts():
            if channel not in _ONLY_ON.get(name, frozenset(Channel)):
                raise ValueError(f"{place}.{channel.value}.{name}: there is none on this channel")


class Collects(StrEnum):
    """Which messages of a type wait for the digest, besides those of recipients who chose to hear less often."""

    CHOSEN = "chosen"
    HELD = "held"
    ALL = "all"


class Digest(Frozen):
    """One message made of several of its type, at set times on the recipient's clock."""

    at: tuple[WallTime, ...] = Field(min_length=1, max_length=24, description="Times of day, such as 18:00.")
    weekdays: tuple[Weekday, ...] = Field(default=tuple(Weekday), min_length=1, max_length=len(Weekday))
    collects: Collects = Field(
        default=Collects.HELD,
        description="Besides what recipients chose to get daily or less often: nothing, what may not go now, or all.",
    )
    at_least: Annotated[int, Field(ge=1, le=MAX_DIGEST)] = Field(
        default=2, description="Fewer go by themselves when the digest's time has come."
    )
    at_most: Annotated[int, Field(ge=1, le=MAX_DIGEST)] = Field(default=20, description="More make another digest.")
    content: dict[Channel, Content] = Field(
        min_length=1, description="With the variables items, each message's own in a list, and count."
    )
    translations: dict[Locale, dict[Channel, Content]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_some(self) -> Self:
        if self.at_most < self.at_least:
            raise ValueError("at_most must be at_least or more")
        if len(set(self.at)) != len(self.at) or "24:00" in self.at:
            raise ValueError("at must name different times before 24:00")
        _fits_channels("content", self.content)
        for locale, blocks in self.translations.items():
            _fits_channels(f"translations.{locale}", blocks)
        return self

    @property
    def times(self) -> tuple[time, ...]:
        """The times of day."""
        return tuple(time.fromisoformat(each) for each in self.at)


_SINCE = frozenset({"generated", "features", "sources", "source"})
"""What variants and options may have since types were first stored; left out where empty, so that digests stay."""


class MessageType(Frozen):
    """One kind of message a tenant sends."""

    type: Name
    message_class: MessageClass = Field(alias="class")
    is_emergency: bool = Field(default=False, description="Passes quiet hours and channel switches, not consent.")
    category: Name
    channels: tuple[Channel, ...] = Field(min_length=1, description="In the order rules prefer them.")
    variants: tuple[Variant, ...] = Field(min_length=1, max_length=MAX_VARIANTS)
    slots: Slots | None = Field(default=None, description="Options that are combined to the variants, in their place.")
    variables: dict[str, JsonValue] = Field(
        default_factory=_no_variables,
        description="JSON Schema of the variables a request must give.",
    )
    postal_address: Annotated[str, StringConstraints(min_length=1, max_length=500)] | None = Field(
        default=None, description="Where the sender can be written to; a marketing e-mail shows it."
    )
    locale: Locale = Field(default="en", description="Language of each variant's content.")
    link_schemes: tuple[Scheme, ...] = Field(
        default=(), max_length=10, description="Schemes of the sender's own apps that links may have."
    )
    sms_segments: Annotated[int, Field(ge=1, le=10)] = Field(default=3, description="Parts an SMS may have at most.")
    default_variant: VariantId | None = Field(
        default=None, description="Answers where the one that was drawn is not good enough."
    )
    quality_threshold: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="Least quality of what is sent; below it the default variant is."
    )
    external_features: tuple[ExternalName, ...] = Field(
        default=(),
        max_length=50,
        description="What requests may tell of the outside, such as weather.rain_mm; anything else counts for nothing.",
    )
    attribution_window_hours: float | None = Field(default=None, gt=0, le=MAX_WINDOW_HOURS)
    priority: Literal["low", "medium", "high", "urgent"] = "medium"
    must_reach: MustReach | None = Field(
        default=None, description="Goes on to the next channel while it did not reach; not for marketing."
    )
    variant_policy: VariantPolicy | None = Field(
        default=None, description="Which policy draws the variant; null for inverse_gap."
    )
    digest: Digest | None = Field(default=None, description="Lets messages of the type wait for each other.")

    @model_validator(mode="before")
    @classmethod
    def _combined(cls, given: Any) -> Any:
        """Make the variants of slots; what is stored holds the slots only."""
        if not isinstance(given, dict) or given.get("slots") is None:
            return given
        if given.get("variants") is not None:
            raise ValueError("variants must be left out where slots are given")
        slots = Slots.model_validate(given["slots"])
        return given | {"variants": list(combined(slots, given.get("channels")))}

    @model_validator(mode="after")
    def _can_be_rendered(self) -> Self:
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("channels must not name a channel twice")
        ids = [variant.id for variant in self.variants]
        if len(set(ids)) != len(ids):
            raise ValueError("variants must have different ids")
        for variant in self.variants:
            if missing := sorted(set(self.channels) - set(variant.content)):
                raise ValueError(f"variants.{variant.id}.content must have content for channel {missing[0]}")
            for place, blocks in (("content", variant.content), *variant.translations.items()):
                _fits_channels(f"variants.{variant.id}.{place}", blocks)
        if self.default_variant is not None and self.default_variant not in ids:
            raise ValueError(f"default_variant must be one of the variants: {', '.join(ids)}")
        if self.quality_threshold is not None and self.default_variant is None:
            raise ValueError("quality_threshold needs a default_variant")
        check_object_schema("variables", self.variables)
        return self

    @model_validator(mode="after")
    def _has_defaults(self) -> Self:
        for variant in self.variants:
            for slot in variant.sources:
                if not any(slot in block.parts() for block in variant.content.values()):
                    raise ValueError(f"variants.{variant.id}.sources.{slot}: content must have a default {slot}")
        return self

    @model_validator(mode="after")
    def _can_reach(self) -> Self:
        if self.must_reach is None:
            return self
        if self.message_class is MessageClass.MARKETING:
            raise ValueError("must_reach is not for marketing, which nobody is owed")
        if unknown := sorted(set(self.must_reach.channels) - set(self.channels)):
            raise ValueError(f"must_reach.channels must be among channels; {unknown[0]} is not")
        return self

    @model_validator(mode="after")
    def _can_be_digested(self) -> Self:
        if self.digest is None:
            return self
        if self.message_class is MessageClass.TRANSACTIONAL or self.is_emergency or self.must_reach is not None:
            raise ValueError("digest is not for transactional messages, emergencies or what must_reach")
        if unknown := sorted({*self.digest.content} - {*self.channels}):
            raise ValueError(f"digest.content must be for channels of the type; {unknown[0]} is none")
        if DIGEST_VARIANT in {variant.id for variant in self.variants}:
            raise ValueError(f"variants must not be called {DIGEST_VARIANT} where there is a digest")
        return self

    def document(self) -> dict[str, Any]:
        """Return the type as it is stored."""
        told = self.model_dump(mode="json", by_alias=True)
        if self.variant_policy is None:
            # Types that name none keep the digest they had before there was anything to name.
            del told["variant_policy"]
        if self.digest is None:
            del told["digest"]
        options = [each for options in (told["slots"] or {}).values() for each in options]
        for part in (*told["variants"], *options):
            for name in _SINCE.intersection(part):
                if not part[name]:
                    del part[name]
        # The variants of slots are made again when they are read.
        del told["slots" if self.slots is None else "variants"]
        return told

    def sha256(self) -> bytes:
        """Return the SHA-256 of the document: equal ones mean nothing was changed."""
        text = json.dumps(self.document(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).digest()

    def defaults(self) -> dict[str, JsonValue]:
        """Return every declared variable with the value it has when a request leaves it out."""
        declared = self.variables.get("properties")
        properties = declared if isinstance(declared, dict) else {}
        return {name: rule.get("default") if isinstance(rule, dict) else None for name, rule in properties.items()}

    def variant(self, variant_id: str) -> Variant:
        """Return one of the variants.

        Raises:
            KeyError: there is none with this id.
        """
        return {variant.id: variant for variant in self.variants}[variant_id]


class PublishedType(Frozen):
    """A message type in one of its versions."""

    version: int
    definition: MessageType


class BadVariables(ValueError):
    """The variables do not fit the type's schema; ``field`` says which, the value is not repeated."""

    def __init__(self, field: str, expected: str) -> None:
        self.field = field
        self.expected = expected
        super().__init__(f"{field}: {expected}")


def check_variables(definition: MessageType, variables: dict[str, JsonValue]) -> None:
    """Check a request's variables against the type's schema.

    Raises:
        BadVariables: they do not fit.
    """
    error = best_match(Draft202012Validator(definition.variables).iter_errors(variables))
    if error is not None:
        place = ".".join(["message.variables", *(str(part) for part in error.absolute_path)])
        # The library's message repeats the value; the rule and its limit say enough.
        raise BadVariables(place, f"must satisfy {error.validator}: {json.dumps(error.validator_value)[:200]}")
