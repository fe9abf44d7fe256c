"""Lint: what a message should not look like when it leaves, by a closed list of codes.

An error keeps it from being published; a warning is told, and lowers its quality. What a channel cannot carry at all is
refused when it is rendered (``domain/content.py``).
"""

import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Self

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from pydantic import Field, StringConstraints, model_validator

from domain import links, plain_text
from domain.channel_capabilities import CAPABILITIES
from domain.content import RenderedContent
from domain.message_types import MessageType
from domain.spam_phrases import PHRASES
from domain.values import Channel, Frozen, MessageClass


class LintCode(StrEnum):
    """Everything lint may find."""

    TITLE_LONG = "length.title"
    BODY_LONG = "length.body"
    SLOT_UNRESOLVED = "slot.unresolved"
    SPAM_PHRASE = "words.spam_phrase"
    CAPITALS = "words.capitals"
    LINK_BROKEN = "link.broken"
    LINK_INSECURE = "link.insecure"
    OPT_OUT_MISSING = "duty.opt_out_missing"
    ADDRESS_MISSING = "duty.postal_address_missing"
    SCRIPT = "language.script"
    BRAND_REQUIRED = "brand.required_word_missing"
    BRAND_BANNED = "brand.banned_word"

    @property
    def is_error(self) -> bool:
        """True when a message with it must not be published."""
        return self in _ERRORS


_ERRORS = frozenset(
    {LintCode.SLOT_UNRESOLVED, LintCode.LINK_BROKEN, LintCode.OPT_OUT_MISSING, LintCode.ADDRESS_MISSING}
    | {LintCode.BRAND_REQUIRED, LintCode.BRAND_BANNED}
)


class Finding(Frozen):
    """One thing that is wrong; ``detail`` never repeats what a variable held."""

    code: LintCode
    part: str
    detail: str


Word = Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True)]


Tone = Annotated[float, Field(ge=-1, le=1)]


class ToneRange(Frozen):
    """How messages may sound, as an estimate: -1 is hostile, 0 neutral, 1 enthusiastic."""

    least: Tone = -1.0
    most: Tone = 1.0

    @model_validator(mode="after")
    def _is_some(self) -> Self:
        if self.most < self.least:
            raise ValueError("most must be least or more")
        return self


class BrandRules(Frozen):
    """Words a sender's messages must or must not hold, whatever their case, and how they sound."""

    required: tuple[Word, ...] = Field(default=(), max_length=20)
    banned: tuple[Word, ...] = Field(default=(), max_length=500)
    tone: ToneRange | None = Field(
        default=None, description="Looked at in English texts only; beyond it is a warning, for it is an estimate."
    )

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if {each.casefold() for each in self.required} & {each.casefold() for each in self.banned}:
            raise ValueError("banned must not name a word that is required")
        return self


NO_RULES = BrandRules()
_SLOT = re.compile(
    r"\{\{|\}\}|\{%|%\}|\$\{|<%|%%[A-Z_]+%%|\[\[|\]\]|\[(?:FIRST|LAST|USER|FULL)?[ _]?NAME\]", re.IGNORECASE
)
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s<>\"']*", re.IGNORECASE)
_FEWEST_LETTERS = 10
_MOST_CAPITALS = 0.5
_FEWEST_IN_SCRIPT = 0.5


def lint(
    definition: MessageType, channel: Channel, said: RenderedContent, brand: BrandRules | None = None
) -> tuple[Finding, ...]:
    """Return what is wrong with a rendered message, errors and warnings, in the order of their codes."""
    found = [
        *_lengths(channel, said),
        *_words(said, channel),
        *_addresses(definition, channel, said),
        *_duties(definition, channel, said),
        *_script(said, channel),
        *_brand(brand or NO_RULES, said, channel),
    ]
    order = list(LintCode)
    return tuple(sorted(found, key=lambda each: (order.index(each.code), each.part)))


def read_aloud(said: RenderedContent, channel: Channel) -> str:
    """Return everything that is read of a message, without markup, a part in each line."""
    return "\n".join(_texts(said, channel).values())


def _texts(said: RenderedContent, channel: Channel) -> dict[str, str]:
    """Return what is read, part by part, without markup."""
    body = plain_text.of_html(said.body) if channel in {Channel.EMAIL, Channel.VOICE} else said.body
    parts = {"subject": said.subject, "preheader": said.preheader, "body": body, "call_to_action": said.call_to_action}
    return {name: text for name, text in parts.items() if text}


def _lengths(channel: Channel, said: RenderedContent) -> Iterator[Finding]:
    can = CAPABILITIES[channel]
    if can.title_characters is not None and len(said.subject or "") > can.title_characters:
        yield Finding(code=LintCode.TITLE_LONG, part="subject", detail=f"longer than {can.title_characters} characters")
    if can.body_characters is not None and len(said.body) > can.body_characters:
        yield Finding(code=LintCode.BODY_LONG, part="body", detail=f"longer than {can.body_characters} characters")


def _words(said: RenderedContent, channel: Channel) -> Iterator[Finding]:
    for part, text in _texts(said, channel).items():
        if _SLOT.search(text):
            yield Finding(code=LintCode.SLOT_UNRESOLVED, part=part, detail="a placeholder was left unfilled")
        folded = " ".join(text.casefold().split())
        for phrase in PHRASES:
            if re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", folded):
                yield Finding(code=LintCode.SPAM_PHRASE, part=part, detail=phrase)
        letters = [each for each in text if each.isalpha() and each.upper() != each.lower()]
        capitals = sum(each.isupper() for each in letters)
        if len(letters) >= _FEWEST_LETTERS and capitals > _MOST_CAPITALS * len(letters):
            yield Finding(code=LintCode.CAPITALS, part=part, detail="more than half in capitals")


def _addresses(definition: MessageType, channel: Channel, said: RenderedContent) -> Iterator[Finding]:
    own = frozenset(definition.link_schemes)
    in_body = plain_text.links_of_html(said.body) if channel is Channel.EMAIL else _ADDRESS.findall(said.body)
    given = [("body", each) for each in in_body] + ([("link", said.link)] if said.link is not None else [])
    codes = {"broken": LintCode.LINK_BROKEN, "unsafe": LintCode.LINK_BROKEN, "insecure": LintCode.LINK_INSECURE}
    for place, (part, address) in enumerate(given):
        wrong = links.problem(address, own_schemes=own)
        if wrong is not None:
            yield Finding(code=codes[wrong], part=part, detail=f"link {place + 1} is {wrong}")


def _duties(definition: MessageType, channel: Channel, said: RenderedContent) -> Iterator[Finding]:
    if definition.message_class is not MessageClass.MARKETING or channel is not Channel.EMAIL:
        return
    refers = plain_text.links_of_html(said.body)
    way_out = said.headers.get("List-Unsubscribe", "").strip("<>")
    if not way_out or way_out not in refers:
        yield Finding(code=LintCode.OPT_OUT_MISSING, part="body", detail="no link leads to the way out")
    shown = " ".join(plain_text.of_html(said.body).split())
    if definition.postal_address is None or " ".join(definition.postal_address.split()) not in shown:
        yield Finding(code=LintCode.ADDRESS_MISSING, part="body", detail="the sender's postal address is not shown")


def _script(said: RenderedContent, channel: Channel) -> Iterator[Finding]:
    """Find text in another script than its language's: a check of letters, which no dictionary is needed for."""
    wanted = _script_of(said.locale)
    if wanted is None:
        return
    for part, text in _texts(said, channel).items():
        scripts = [unicodedata.name(each, "").split(" ")[0] for each in text if each.isalpha()]
        if len(scripts) >= _FEWEST_LETTERS and sum(each in wanted for each in scripts) < _FEWEST_IN_SCRIPT * len(
            scripts
        ):
            yield Finding(code=LintCode.SCRIPT, part=part, detail=f"most letters are not those of {said.locale}")


_NAMES = {
    "Latn": {"LATIN"}, "Cyrl": {"CYRILLIC"}, "Grek": {"GREEK"}, "Arab": {"ARABIC"}, "Hebr": {"HEBREW"},
    "Deva": {"DEVANAGARI"}, "Thai": {"THAI"}, "Hans": {"CJK"}, "Hant": {"CJK"}, "Kore": {"HANGUL", "CJK"},
    "Jpan": {"HIRAGANA", "KATAKANA", "CJK", "KATAKANA-HIRAGANA"},
}  # fmt: skip
"""How Unicode names the letters of a script (ISO 15924); languages of other scripts are not checked."""


def _script_of(locale: str) -> set[str] | None:
    try:
        parsed = Locale.parse(locale, sep="-")
    except (UnknownLocaleError, ValueError):
        return None
    likely = get_global("likely_subtags").get(parsed.language, "")
    script = parsed.script or next((part for part in likely.split("_") if part in _NAMES), None)
    return _NAMES.get(script) if script else None


def _brand(brand: BrandRules, said: RenderedContent, channel: Channel) -> Iterator[Finding]:
    texts = _texts(said, channel)
    whole = " ".join(texts.values()).casefold()
    for word in brand.required:
        if word.casefold() not in whole:
            yield Finding(code=LintCode.BRAND_REQUIRED, part="body", detail=word)
    for part, text in texts.items():
        folded = text.casefold()
        for word in brand.banned:
            if re.search(rf"(?<!\w){re.escape(word.casefold())}(?!\w)", folded):
                yield Finding(code=LintCode.BRAND_BANNED, part=part, detail=word)
