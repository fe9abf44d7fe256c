"""Lint of a message type before it is published: every variant, channel and language, filled with sample values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from domain import content, generation, language_lint, locale_filters
from domain.content_lint import BrandRules, Finding, LintCode, lint, read_aloud
from domain.digest_types import as_type
from domain.message_types import MessageType
from domain.sample_variables import sample
from domain.templates import CannotRender
from domain.text_reading import Reader
from domain.values import Channel, Frozen

BRAND_TONE = "brand.tone"
SAMPLE_UNSUBSCRIBE = "https://unsubscribe.example/u/sample"


class Placed(Frozen):
    """One thing that is wrong with a type: where, what, and whether it must not be published so."""

    place: str
    code: str
    is_error: bool
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.code}: {self.detail}"


def of_type(definition: MessageType, brand: BrandRules | None = None, reader: Reader | None = None) -> list[Placed]:
    """Return what is wrong with a type, in the order of its document, its digest last.

    Args:
        definition: its templates are valid by themselves (``content.check``).
        brand: the tenant's words and tone, none unless given.
        reader: estimates languages and tones; without it neither is looked at.
    """
    looked = _Looked(brand or BrandRules(), reader)
    digest = _variants(as_type(definition), looked) if definition.digest is not None else []
    moved = [each.model_copy(update={"place": each.place.removeprefix("variants.")}) for each in digest]
    return _variants(definition, looked) + moved


@dataclass(frozen=True)
class _Looked:
    """What texts are looked at with."""

    brand: BrandRules
    reader: Reader | None


def off_brand(definition: MessageType, brand: BrandRules) -> list[Placed]:
    """Return where a type breaks the words of a tenant."""
    if not brand.required and not brand.banned:
        return []
    return [each for each in of_type(definition, brand) if each.is_error and each.code in _BRAND]


_BRAND = frozenset((LintCode.BRAND_REQUIRED.value, LintCode.BRAND_BANNED.value))


def _variants(definition: MessageType, looked: _Looked) -> list[Placed]:
    unread = generation.unapproved(definition)
    found = [
        Placed(
            place=f"variants.{name}.generated",
            code="generated.not_approved",
            is_error=True,
            detail="approved_by and approved_at say who let it through",
        )
        for name in unread
    ]
    for place, variant_id, channel, locale in _contents(definition):
        found += _of_content(definition, place, variant_id, channel, locale, looked)
    return found


def _of_content(
    definition: MessageType, place: str, variant_id: str, channel: Channel, locale: str | None, looked: _Looked
) -> list[Placed]:
    try:
        said = content.render(
            definition,
            channel=channel,
            variant_id=variant_id,
            wanted=[locale] if locale is not None else [],
            variables=sample(definition.variables),
            unsubscribe_url=SAMPLE_UNSUBSCRIBE,
        )
    except CannotRender as error:
        return [Placed(place=place, code="template.unfillable", is_error=True, detail=f"with sample values, {error}")]
    found = [_placed(place, each) for each in lint(definition, channel, said, looked.brand)]
    found += _estimated(f"{place}.body", read_aloud(said, channel), said.locale, looked)
    spoken = definition.variant(variant_id).in_language(channel, [locale] if locale is not None else [])[1]
    return found + [
        Placed(place=f"{place}.{part}", code="plural.incomplete", is_error=False, detail=f"no form for {missing}")
        for part, template in spoken.parts().items()
        for missing in _missing_forms(template, said.locale)
    ]


def _estimated(place: str, text: str, locale: str, looked: _Looked) -> Iterator[Placed]:
    """Find what a library makes of a text: none of it is sure, so none of it is an error."""
    if looked.reader is None:
        return
    other = language_lint.other_language(text, locale, looked.reader)
    if other is not None:
        detail = f"expected a text in {locale}, by an estimate it is in {other}"
        yield Placed(place=place, code="language.other", is_error=False, detail=detail)
    wanted = looked.brand.tone
    if wanted is None or other is not None or locale.partition("-")[0] != _HAS_TONES:
        return
    tone = looked.reader.tone(text)
    if not wanted.least <= tone <= wanted.most:
        detail = f"expected a tone from {wanted.least:g} to {wanted.most:g}, the estimate is {tone:.2f}"
        yield Placed(place=place, code=BRAND_TONE, is_error=False, detail=detail)


_HAS_TONES = "en"
_PLURAL = re.compile(r"\|\s*plural\s*:([^|}]*)")
_FORM = re.compile(r"\b(zero|one|two|few|many|other)\s*:")


def _missing_forms(template: str, locale: str) -> list[str]:
    """Return the plural forms of a language that a template does not have."""
    needed = locale_filters.whole_number_forms(locale)
    calls = [set(_FORM.findall(call[1])) for call in _PLURAL.finditer(template)]
    return sorted(set().union(*(needed - forms for forms in calls)))


def _placed(place: str, found: Finding) -> Placed:
    return Placed(
        place=f"{place}.{found.part}", code=found.code.value, is_error=found.code.is_error, detail=found.detail
    )


def _contents(definition: MessageType) -> Iterator[tuple[str, str, Channel, str | None]]:
    for variant in definition.variants:
        for channel in definition.channels:
            yield f"variants.{variant.id}.content.{channel.value}", variant.id, channel, None
        for locale, by_channel in variant.translations.items():
            for channel in by_channel:
                if channel in definition.channels:
                    yield f"variants.{variant.id}.translations.{locale}.{channel.value}", variant.id, channel, locale
