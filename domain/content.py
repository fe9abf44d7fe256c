"""Content: a variant's templates filled with the request's variables, safely and within limits.

Templates are Liquid: they hold no code, know no clock, cannot loop or write without end, and a variable that nobody
declared is an error instead of a gap. HTML is escaped on e-mail; a subject is one line.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from liquid import BoundTemplate, Environment, StrictUndefined
from liquid.exceptions import LiquidError
from pydantic import Field, JsonValue

from domain import one_click
from domain.message_types import MessageType
from domain.values import Channel, Frozen

LOOP_LIMIT = 1_000
OUTPUT_LIMIT_BYTES = 200_000
NAMESPACE_LIMIT_BYTES = 200_000
DEPTH_LIMIT = 20
_NO_FILTERS = ("date", "safe", "base64_decode", "base64_url_safe_decode", "url_decode")
"""``date`` reads the clock; the others let a variable's text past the escaping."""
_NO_TAGS = ("include", "render")
PROVIDED = ("postal_address", "unsubscribe_url")
"""Variables of every e-mail template; a request cannot set them."""


class CannotRender(ValueError):
    """A template cannot be read or filled; the message names the field and not the value."""


class RenderedContent(Frozen):
    """What the recipient will read on one channel, and in which language."""

    locale: str
    subject: str | None = None
    body: str
    headers: dict[str, str] = Field(default_factory=dict, description="To add to an e-mail, covered by DKIM.")


class _Limited(Environment):
    loop_iteration_limit = LOOP_LIMIT
    output_stream_limit = OUTPUT_LIMIT_BYTES
    local_namespace_limit = NAMESPACE_LIMIT_BYTES
    context_depth_limit = DEPTH_LIMIT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for name in _NO_FILTERS:
            self.filters.pop(name, None)
        for name in _NO_TAGS:
            self.tags.pop(name, None)


_PLAIN = _Limited(undefined=StrictUndefined)
_HTML = _Limited(undefined=StrictUndefined, autoescape=True)


def languages(*wanted: str | None) -> Iterator[str]:
    """Yield the languages to try: each locale as it is, then without its region and script."""
    for locale in wanted:
        if locale is not None:
            yield locale
            yield locale.partition("-")[0]


def render(
    definition: MessageType,
    *,
    channel: Channel,
    variant_id: str,
    wanted: Iterable[str],
    variables: Mapping[str, JsonValue],
    unsubscribe_url: str = "",
) -> RenderedContent:
    """Fill the templates of one variant on one channel.

    Args:
        definition: the published type; variables it declares and nobody gave take their default, or are empty.
        channel: e-mail bodies are HTML and escaped, everything else is plain text.
        variant_id: one of the type's variants.
        wanted: languages, most wanted first; without any of them the type's own is used.
        variables: as the request gave them, checked against the type.
        unsubscribe_url: the recipient's own way out, for an e-mail that shows or carries it.

    Raises:
        CannotRender: a template cannot be filled with these, or goes beyond a limit.
    """
    locale, templates = definition.variant(variant_id).in_language(channel, wanted)
    is_email = channel is Channel.EMAIL
    values = definition.defaults() | dict(variables) | (_provided(definition, unsubscribe_url) if is_email else {})
    subject = _filled(templates.subject, "subject", is_html=False, values=values) if templates.subject else None
    return RenderedContent(
        locale=locale or definition.locale,
        # A line break in a subject would start another header.
        subject=" ".join(subject.split()) if subject is not None else None,
        body=_filled(templates.body, "body", is_html=is_email, values=values),
        headers=dict(one_click.headers(unsubscribe_url)) if is_email and unsubscribe_url else {},
    )


def _provided(definition: MessageType, unsubscribe_url: str) -> dict[str, JsonValue]:
    """Return the variables that e-mail templates may use without declaring them."""
    return dict(zip(PROVIDED, (definition.postal_address or "", unsubscribe_url), strict=True))


def check(definition: MessageType) -> None:
    """Refuse a type whose templates cannot be read, use a variable it does not declare, or a filter we do not have.

    Raises:
        CannotRender: with the place that is at fault.
    """
    for place, template in _templates(definition):
        allowed = set(PROVIDED) if f".{Channel.EMAIL.value}." in place else set()
        used = _parsed(template, place, is_html=False).analyze()
        if unknown := sorted(set(used.globals) - set(definition.defaults()) - allowed):
            raise CannotRender(f"{place} uses the variable {unknown[0]}, which is not declared in variables")
        # A filter is looked up when it is reached, which may be in one decision of a thousand.
        if unknown := sorted(set(used.filters) - set(_PLAIN.filters)):
            raise CannotRender(f"{place} uses the filter {unknown[0]}, which there is not")


def _templates(definition: MessageType) -> Iterator[tuple[str, str]]:
    for variant in definition.variants:
        blocks = {"content": variant.content} | {f"translations.{k}": v for k, v in variant.translations.items()}
        for block, by_channel in blocks.items():
            for channel, templates in by_channel.items():
                place = f"variants.{variant.id}.{block}.{channel.value}"
                yield f"{place}.body", templates.body
                if templates.subject is not None:
                    yield f"{place}.subject", templates.subject


def _filled(template: str, part: str, *, is_html: bool, values: Mapping[str, JsonValue]) -> str:
    try:
        return str(_parsed(template, part, is_html=is_html).render(**values))
    except LiquidError as error:
        raise CannotRender(f"the {part} cannot be filled: {type(error).__name__}") from None


@lru_cache(maxsize=1024)
def _parsed(template: str, part: str, *, is_html: bool) -> BoundTemplate:
    try:
        return (_HTML if is_html else _PLAIN).from_string(template)
    except LiquidError as error:
        raise CannotRender(f"{part} is not a Liquid template: {type(error).__name__}") from None
