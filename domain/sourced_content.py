"""What a drawn variant wants of the content system, and how it is said: with those words, or with its own default."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from domain import content, content_blocks
from domain.content import RenderedContent
from domain.content_blocks import Block, BlockReason, Blocks, Named, SaidBlock, SlotName, SourceText
from domain.content_lint import NO_RULES, BrandRules, lint
from domain.message_types import MessageType, fields_of
from domain.templates import CannotRender
from domain.values import Channel

Texts = Callable[[Named], tuple[SourceText, ...] | BlockReason]
"""Returns what the content system has under a name, or why that is not known."""
Render = Callable[[Blocks], RenderedContent]
"""Fills a variant, with some slots said by blocks."""


@dataclass(frozen=True)
class Wanted:
    """The slots of one variant that a content system fills, on one channel in one language."""

    definition: MessageType
    channel: Channel
    locale: str
    slots: Mapping[SlotName, Named]

    def of(self, texts: Texts) -> Blocks:
        """Return what each slot says."""
        return tuple(self._block(slot, named, texts(named)) for slot, named in self.slots.items())

    def _block(self, slot: SlotName, named: Named, had: tuple[SourceText, ...] | BlockReason) -> SaidBlock:
        if isinstance(had, BlockReason):
            return content_blocks.default(slot, had)
        return content_blocks.found(
            slot,
            named,
            had,
            message_type=self.definition.type,
            channel=self.channel,
            locale=self.locale,
            fields=fields_of(slot, self.channel),
        )


def wanted(definition: MessageType, variant_id: str, channel: Channel, languages: Iterable[str]) -> Wanted:
    """Return what a variant wants of the content system: of the slots that are said on this channel."""
    variant, asked = definition.variant(variant_id), tuple(languages)
    said = variant.in_language(channel, asked)[1].parts()
    slots = {slot: named for slot, named in variant.sources.items() if slot in said}
    return Wanted(definition, channel, content.language(definition, variant_id, channel, asked), slots)


def said(
    definition: MessageType, channel: Channel, blocks: Blocks, render: Render, brand: BrandRules = NO_RULES
) -> tuple[Blocks, RenderedContent]:
    """Return a message with its blocks, or with its own words where theirs make it one that must not be sent.

    One block at fault takes the others with it: what they say was written to stand together.

    Raises:
        CannotRender: the type's own words cannot be filled either.
    """
    if any(not each.is_default for each in blocks):
        try:
            rendered = render(blocks)
        except CannotRender:
            rendered = None
        if rendered is not None and not any(each.code.is_error for each in lint(definition, channel, rendered, brand)):
            return blocks, rendered
        blocks = tuple(map(_unfit, blocks))
    return blocks, render(blocks)


def _unfit(block: SaidBlock) -> SaidBlock:
    return block if block.is_default else content_blocks.default(block.slot, BlockReason.UNFIT, instead_of=block)


def told(blocks: Blocks) -> tuple[Block, ...]:
    """Return the blocks as an answer tells them."""
    return tuple(each.told() for each in blocks)
