"""Blocks: parts of a message whose words are in a content system, and what a decision said in each.

A type names them and holds a default for each. What comes is data of somebody else: it may use the variables that every
e-mail has, none of the request's, so that no link in it can carry away what is known of a recipient.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_serializer, model_validator

from domain.profiles import Locale
from domain.values import Channel, Frozen

Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
SlotName = Literal["subject", "call_to_action", "body"]


class SourceText(Frozen):
    """One text of the content system, on one channel in one language."""

    id: Label
    type: Label
    segment: Label | None = None
    category: Label | None = None
    channel: Channel
    locale: Locale
    fields: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,39}$")], Words] = Field(
        min_length=1, max_length=20
    )


class Named(Frozen):
    """Which text of the content system fills a slot: one by its id, or the first of a category."""

    source: Literal["cms"] = Field(alias="from")
    id: Label | None = None
    category: Label | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.id is None) == (self.category is None):
            raise ValueError("expected either id or category")
        return self

    @model_serializer
    def _as_written(self) -> dict[str, str]:
        """Return it as a document has it, whoever asks: with the names it is read by."""
        told = {"id": self.id} if self.id is not None else {"category": str(self.category)}
        return {"from": self.source} | told

    @property
    def question(self) -> tuple[str, str]:
        """What the content system is asked: the name of the parameter, and its value."""
        return ("ids", self.id) if self.id is not None else ("category", str(self.category))


class BlockReason(StrEnum):
    """Why a slot says the type's own default and not the content system's words."""

    UNCONFIGURED = "content.unconfigured"
    UNAVAILABLE = "content.unavailable"
    LATE = "content.late"
    MISSING = "content.missing"
    UNFIT = "content.unfit"
    NOT_ASKED = "content.not_asked"


class Block(Frozen):
    """What one slot said; ``reason`` is set where that was the default."""

    slot: SlotName
    is_default: bool
    reason: BlockReason | None = None
    id: str | None = Field(default=None, description="Of the text in the content system.")
    sha256: str | None = Field(default=None, description="Of the text's fields as JSON with sorted names, UTF-8.")


class SaidBlock(Block):
    """A block with its words as the content system gave them, before anything was filled in."""

    fields: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.is_default != (self.reason is not None) or self.is_default != (not self.fields):
            raise ValueError("expected either the words of a text or the reason why there are none")
        return self

    def told(self) -> Block:
        """Return it without its words."""
        return Block.model_validate(self.model_dump(exclude={"fields"}))


Blocks = tuple[SaidBlock, ...]


def from_source(slot: SlotName, text_id: str, fields: Mapping[str, str]) -> SaidBlock:
    """Return a block with the words of a text."""
    said = json.dumps(dict(fields), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(said.encode()).hexdigest()
    return SaidBlock(slot=slot, is_default=False, id=text_id, sha256=digest, fields=dict(fields))


def default(slot: SlotName, reason: BlockReason, *, instead_of: Block | None = None) -> SaidBlock:
    """Return a block that says the type's own words; with which text could not be used, where there was one."""
    known = {"id": instead_of.id, "sha256": instead_of.sha256} if instead_of is not None else {}
    return SaidBlock(slot=slot, is_default=True, reason=reason, **known)


def defaults(slots: Iterable[SlotName], reason: BlockReason) -> Blocks:
    """Return every one of these slots with the type's own words."""
    return tuple(default(slot, reason) for slot in slots)


def found(
    slot: SlotName,
    named: Named,
    texts: Sequence[SourceText],
    *,
    message_type: str,
    channel: Channel,
    locale: str,
    fields: Iterable[str],
) -> SaidBlock:
    """Return what a slot says, of the texts that the content system gave.

    Args:
        slot: which one; a text without a field of this name does not fill it.
        named: which text it wants.
        texts: in the order the system gave them; the first that fits is said.
        message_type: texts of another type are not said.
        channel: on which the message goes.
        locale: the language the rest of the message is in; no message is in two.
        fields: what the slot may say on this channel.
    """
    fitting = [
        each
        for each in texts
        if (each.type, each.channel, each.locale) == (message_type, channel, locale)
        and (named.id is None or each.id == named.id)
        and (named.category is None or each.category in (None, named.category))
    ]
    if not fitting:
        return default(slot, BlockReason.MISSING)
    chosen = fitting[0]
    said = {name: chosen.fields[name] for name in fields if name in chosen.fields}
    if slot not in said:
        return default(slot, BlockReason.UNFIT, instead_of=from_source(slot, chosen.id, chosen.fields))
    return from_source(slot, chosen.id, said)


def again(kept: Sequence[Mapping[str, Any]]) -> Blocks:
    """Return recorded blocks, each text's digest made anew from its words."""
    read = (SaidBlock.model_validate(each) for each in kept)
    return tuple(
        each if each.is_default or each.id is None else from_source(each.slot, each.id, each.fields) for each in read
    )


def texts(blocks: Blocks) -> dict[str, dict[str, str]]:
    """Return the words that take the place of a slot's default, by slot."""
    return {each.slot: each.fields for each in blocks if not each.is_default}
