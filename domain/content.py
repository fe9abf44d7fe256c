"""Content: a variant's templates filled with the request's variables, in the form of its channel.

HTML is escaped on e-mail and SSML on voice; a subject is one line; an e-mail has a plain-text part; what does not
fit a channel is refused, never cut.
"""

from collections.abc import Iterable, Iterator, Mapping
from xml.etree import ElementTree as ET

from pydantic import Field, JsonValue

from domain import links, one_click, plain_text, sms_segments, templates
from domain.content_blocks import Blocks
from domain.digest_types import as_type
from domain.message_types import Content, MessageType
from domain.slots import FIELDS
from domain.templates import CannotRender
from domain.values import Channel, Frozen

PROVIDED = ("postal_address", "unsubscribe_url")
"""Variables of every e-mail template; a request cannot set them."""
MOST_SUBJECT = 998
"""Characters of a line of an e-mail's header (RFC 5322, 2.1.1)."""
MOST_PUSH_BYTES = 3_500
"""Of title, body and link together; a push message's whole payload may have 4,096 bytes (Apple, Google)."""
MOST_BODY = 100_000
_MARKUP = frozenset({Channel.EMAIL, Channel.VOICE})
_ONE_LINE = ("subject", "preheader", "call_to_action")
_SPOKEN = frozenset({"speak", "p", "s", "break", "emphasis", "prosody", "say-as", "sub", "phoneme", "lang"})


class RenderedContent(Frozen):
    """What the recipient will read or hear on one channel, and in which language."""

    locale: str
    subject: str | None = None
    preheader: str | None = None
    body: str
    text: str | None = Field(default=None, description="An e-mail's plain-text part.")
    call_to_action: str | None = None
    link: str | None = None
    segments: int | None = Field(default=None, description="Parts an SMS is sent in.")
    headers: dict[str, str] = Field(default_factory=dict, description="To add to an e-mail, covered by DKIM.")


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
    blocks: Blocks = (),
) -> RenderedContent:
    """Fill the templates of one variant on one channel.

    Args:
        definition: the published type; variables it declares and nobody gave take their default, or are empty.
        channel: e-mail bodies are HTML, voice is SSML, and both are escaped; everything else is plain text.
        variant_id: one of the type's variants.
        wanted: languages, most wanted first; without any of them the type's own is used.
        variables: as the request gave them, checked against the type.
        unsubscribe_url: the recipient's own way out, for an e-mail that shows or carries it.
        blocks: what slots say instead of the variant's content.

    Raises:
        CannotRender: a template cannot be filled with these, goes beyond a limit, or does not fit the channel.
    """
    found, content = definition.variant(variant_id).in_language(channel, wanted)
    locale = found or definition.locale
    is_email = channel is Channel.EMAIL
    provided = _provided(definition, unsubscribe_url) if is_email else {}
    said = _said(_without(content, blocks), channel, locale, definition.defaults() | dict(variables) | provided)
    for block in blocks:
        # A text of somebody else sees nothing of the request.
        said |= _said(block.fields, channel, locale, provided)
    if channel is Channel.VOICE:
        said["body"] = _spoken(said["body"])
    if is_email and "text" not in said:
        said["text"] = plain_text.of_html(said["body"])
    segments = sms_segments.size(said["body"]).segments if channel is Channel.SMS else None
    rendered = RenderedContent(
        locale=locale,
        segments=segments,
        headers=dict(one_click.headers(unsubscribe_url)) if is_email and unsubscribe_url else {},
        **said,
    )
    _check_fit(definition, channel, rendered)
    return rendered


def language(definition: MessageType, variant_id: str, channel: Channel, wanted: Iterable[str]) -> str:
    """Return the language in which a variant would be said on a channel."""
    return definition.variant(variant_id).in_language(channel, wanted)[0] or definition.locale


def _without(content: Content, blocks: Blocks) -> dict[str, str]:
    """Return the templates of what no block says; what belongs to a slot comes from one place or the other."""
    told = frozenset(name for block in blocks if not block.is_default for name in FIELDS[block.slot])
    return {part: template for part, template in content.parts().items() if part not in told}


def _said(parts: Mapping[str, str], channel: Channel, locale: str, values: Mapping[str, JsonValue]) -> dict[str, str]:
    said = {}
    for part, template in parts.items():
        is_markup = part == "body" and channel in _MARKUP
        made = templates.filled(template, part, locale=locale, is_markup=is_markup, values=values)
        # A line break in a subject would start another header.
        said[part] = " ".join(made.split()) if part in _ONE_LINE else made
    return said


def _provided(definition: MessageType, unsubscribe_url: str) -> dict[str, JsonValue]:
    """Return the variables that e-mail templates may use without declaring them."""
    return dict(zip(PROVIDED, (definition.postal_address or "", unsubscribe_url), strict=True))


def _spoken(body: str) -> str:
    """Return SSML as one document, or refuse what is none."""
    whole = body if body.lstrip().startswith("<speak") else f"<speak>{body}</speak>"
    if "<!" in whole or "<?" in whole:
        raise CannotRender("the body is not SSML: it holds a declaration")
    try:
        root = ET.fromstring(whole)  # noqa: S314 - without declarations there are no entities to expand
    except ET.ParseError:
        raise CannotRender("the body is not SSML: it is not well-formed") from None
    if unknown := sorted({str(each.tag) for each in root.iter()} - _SPOKEN):
        raise CannotRender(f"the body is not SSML: it holds an element of another kind, number {len(unknown)}")
    return whole


def _check_fit(definition: MessageType, channel: Channel, said: RenderedContent) -> None:
    """Refuse what a channel cannot carry; the message names the field and the limit."""
    if len(said.subject or "") > MOST_SUBJECT:
        raise CannotRender(f"the subject is longer than {MOST_SUBJECT} characters")
    if len(said.body) > MOST_BODY:
        raise CannotRender(f"the body is longer than {MOST_BODY} characters")
    if channel is Channel.SMS and (said.segments or 0) > definition.sms_segments:
        raise CannotRender(f"the body takes {said.segments} SMS segments, more than {definition.sms_segments}")
    payload = "".join(part or "" for part in (said.subject, said.body, said.call_to_action, said.link))
    if channel in {Channel.PUSH, Channel.WEB} and len(payload.encode()) > MOST_PUSH_BYTES:
        raise CannotRender(f"title, body and link are longer than {MOST_PUSH_BYTES} bytes together")
    own = frozenset(definition.link_schemes)
    if said.link is not None and (wrong := links.problem(said.link, own_schemes=own)) in {"broken", "unsafe"}:
        raise CannotRender(f"the link is {wrong}: expected https, or a scheme of link_schemes")
    if channel is Channel.EMAIL and any(
        links.problem(each, own_schemes=own) == "unsafe" for each in plain_text.links_of_html(said.body)
    ):
        raise CannotRender("the body holds a link that is unsafe: expected https, mailto or tel")


def check(definition: MessageType) -> None:
    """Refuse a type whose templates cannot be read, use a variable it does not declare, or a filter we do not have.

    Raises:
        CannotRender: with the place that is at fault.
    """
    if definition.digest is not None:
        _check_digest(definition)
    for place, template in _templates(definition):
        allowed = set(PROVIDED) if f".{Channel.EMAIL.value}." in place else set()
        variables, filters = templates.used(template, place)
        if unknown := sorted(variables - set(definition.defaults()) - allowed):
            raise CannotRender(f"{place} uses the variable {unknown[0]}, which is not declared in variables")
        # A filter is looked up when it is reached, which may be in one decision of a thousand.
        if missing := sorted(name for name in filters if not templates.knows_filter(name)):
            raise CannotRender(f"{place} uses the filter {missing[0]}, which there is not")


def _check_digest(definition: MessageType) -> None:
    try:
        check(as_type(definition))
    except CannotRender as error:
        raise CannotRender(str(error).removeprefix("variants.")) from None


def _templates(definition: MessageType) -> Iterator[tuple[str, str]]:
    for variant in definition.variants:
        blocks = {"content": variant.content} | {f"translations.{k}": v for k, v in variant.translations.items()}
        for block, by_channel in blocks.items():
            for channel, content in by_channel.items():
                place = f"variants.{variant.id}.{block}.{channel.value}"
                yield from ((f"{place}.{part}", template) for part, template in content.parts().items())
