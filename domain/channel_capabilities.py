"""What each channel can do: a closed table that content, preferences and pages read from.

Lengths are what a recipient sees at once or what the transport carries: SMS parts by GSM 03.38 (160 septets, or 70
characters once one of them is outside that alphabet).
"""

from enum import StrEnum
from types import MappingProxyType

from domain.values import Channel, Frozen


class BodyFormat(StrEnum):
    """How a body is written."""

    HTML_AND_TEXT = "html_and_text"
    TEXT = "text"
    SSML = "ssml"


class Capabilities(Frozen):
    """What one channel can do.

    ``title_characters`` and ``body_characters`` are advisory lengths, null where there is none.
    """

    body_format: BodyFormat
    has_title: bool
    title_characters: int | None
    body_characters: int | None
    has_links: bool
    reports_opens: bool
    has_one_click_unsubscribe: bool
    is_immediate: bool


CAPABILITIES = MappingProxyType(
    {
        Channel.EMAIL: Capabilities(
            body_format=BodyFormat.HTML_AND_TEXT,
            has_title=True,
            title_characters=78,
            body_characters=None,
            has_links=True,
            reports_opens=True,
            has_one_click_unsubscribe=True,
            is_immediate=False,
        ),
        Channel.SMS: Capabilities(
            body_format=BodyFormat.TEXT,
            has_title=False,
            title_characters=None,
            body_characters=160,
            has_links=True,
            reports_opens=False,
            has_one_click_unsubscribe=False,
            is_immediate=True,
        ),
        Channel.PUSH: Capabilities(
            body_format=BodyFormat.TEXT,
            has_title=True,
            title_characters=50,
            body_characters=150,
            has_links=True,
            reports_opens=True,
            has_one_click_unsubscribe=False,
            is_immediate=True,
        ),
        Channel.IN_APP: Capabilities(
            body_format=BodyFormat.TEXT,
            has_title=True,
            title_characters=None,
            body_characters=None,
            has_links=True,
            reports_opens=True,
            has_one_click_unsubscribe=False,
            is_immediate=False,
        ),
        Channel.WEB: Capabilities(
            body_format=BodyFormat.TEXT,
            has_title=True,
            title_characters=50,
            body_characters=150,
            has_links=True,
            reports_opens=True,
            has_one_click_unsubscribe=False,
            is_immediate=True,
        ),
        Channel.VOICE: Capabilities(
            body_format=BodyFormat.SSML,
            has_title=False,
            title_characters=None,
            body_characters=None,
            has_links=False,
            reports_opens=False,
            has_one_click_unsubscribe=False,
            is_immediate=True,
        ),
    }
)
