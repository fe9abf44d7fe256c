"""Content: a variant's templates filled with the request's variables, safely and within limits.

Templates are Liquid: they hold no code, cannot loop or write without end, and a missing variable is an error
instead of a gap. HTML is escaped on e-mail.
"""

from collections.abc import Mapping
from functools import lru_cache

from liquid import Environment, StrictUndefined
from liquid.exceptions import LiquidError
from pydantic import JsonValue

from domain.message_types import Content
from domain.values import Channel, Frozen

LOOP_LIMIT = 1_000
OUTPUT_LIMIT_BYTES = 200_000
NAMESPACE_LIMIT_BYTES = 200_000
DEPTH_LIMIT = 20


class CannotRender(ValueError):
    """A template cannot be read or filled; the message names the field and not the value."""


class RenderedContent(Frozen):
    """What the recipient will read on one channel."""

    subject: str | None = None
    body: str


class _Limited(Environment):
    loop_iteration_limit = LOOP_LIMIT
    output_stream_limit = OUTPUT_LIMIT_BYTES
    local_namespace_limit = NAMESPACE_LIMIT_BYTES
    context_depth_limit = DEPTH_LIMIT


_PLAIN = _Limited(undefined=StrictUndefined)
_HTML = _Limited(undefined=StrictUndefined, autoescape=True)


def render(content: Content, *, channel: Channel, variables: Mapping[str, JsonValue]) -> RenderedContent:
    """Fill the templates of one channel.

    Raises:
        CannotRender: a template needs what the variables do not have, or goes beyond a limit.
    """
    is_html = channel is Channel.EMAIL
    return RenderedContent(
        subject=_filled(content.subject, "subject", is_html=False, variables=variables) if content.subject else None,
        body=_filled(content.body, "body", is_html=is_html, variables=variables),
    )


def check(content: Content) -> None:
    """Refuse templates that cannot even be read.

    Raises:
        CannotRender: with the part that is at fault.
    """
    for part, template in (("subject", content.subject), ("body", content.body)):
        if template is not None:
            _parsed(template, part, is_html=False)


def _filled(template: str, part: str, *, is_html: bool, variables: Mapping[str, JsonValue]) -> str:
    try:
        return str(_parsed(template, part, is_html=is_html).render(**variables))
    except LiquidError as error:
        raise CannotRender(f"the {part} cannot be filled: {type(error).__name__}") from None


@lru_cache(maxsize=1024)
def _parsed(template: str, part: str, *, is_html: bool):  # type: ignore[no-untyped-def]  # noqa: ANN202 - liquid's own
    try:
        return (_HTML if is_html else _PLAIN).from_string(template)
    except LiquidError as error:
        raise CannotRender(f"the {part} is not a Liquid template: {type(error).__name__}") from None
