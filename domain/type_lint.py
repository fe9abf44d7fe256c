"""Lint of a message type before it is published: every variant, channel and language, filled with sample values."""

import re
from collections.abc import Iterator

from domain import content, generation, language_lint, locale_filters
from domain.content_lint import BrandRules, Finding, lint
from domain.message_types import MessageType
from domain.sample_variables import sample
from domain.templates import CannotRender
from domain.values import Channel, Frozen

SAMPLE_UNSUBSCRIBE = "https://unsubscribe.example/u/sample"


class Placed(Frozen):
    """One thing that is wrong with a type: where, what, and whether it must not be published so."""

    place: str
    code: str
    is_error: bool
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.code}: {self.detail}"


def of_type(definition: MessageType, brand: BrandRules | None = None) -> list[Placed]:
    """Return what is wrong with a type, in the order of its document.

    Args:
        definition: its templates are valid by themselves (``content.check``).
        brand: the tenant's words, none unless given.
    """
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
        found += _of_content(definition, place, variant_id, channel, locale, brand)
    return found


def _of_content(
    definition: MessageType, place: str, variant_id: str, channel: Channel, locale: str | None, brand: BrandRules | None
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
    found = [_placed(place, each) for each in lint(definition, channel, said, brand)]
    words = said.text or said.body
    other = language_lint.other_language(f"{said.subject or ''}\n{words}", said.locale)
    if other is not None:
        detail = f"expected a text in {said.locale}, it looks like {other}"
        found.append(Placed(place=f"{place}.body", code="language.other", is_error=False, detail=detail))
    spoken = definition.variant(variant_id).in_language(channel, [locale] if locale is not None else [])[1]
    return found + [
        Placed(place=f"{place}.{part}", code="plural.incomplete", is_error=False, detail=f"no form for {missing}")
        for part, template in spoken.parts().items()
        for missing in _missing_forms(template, said.locale)
    ]


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
