"""Lint of a message type as a document: whether it is one at all, what its templates may not do, and how it reads."""

from typing import Any, Literal

from pydantic import Field, ValidationError

from domain import content, type_lint
from domain.content_lint import BrandRules, LintCode
from domain.legal import publication
from domain.legal.publication import CannotPublish
from domain.message_types import MessageType
from domain.templates import CannotRender
from domain.text_reading import Reader
from domain.type_lint import Placed
from domain.values import Frozen

INVALID, TEMPLATE, DUTY = "document.invalid", "template.invalid", "duty.missing"
SENTENCES = {
    INVALID: "The document is not a message type.",
    TEMPLATE: "A template cannot be used.",
    DUTY: "The law asks for something that the type does not show.",
    "template.unfillable": "The template cannot be filled, or does not fit the channel.",
    "generated.not_approved": "What no person wrote must be approved before it is published.",
    "language.other": "The text is probably in another language than it says.",
    "plural.incomplete": "The language has a plural form that the template does not have.",
    LintCode.TITLE_LONG.value: "The title is longer than the channel shows.",
    LintCode.BODY_LONG.value: "The body is longer than the channel shows.",
    LintCode.SLOT_UNRESOLVED.value: "A placeholder would be read by the recipient.",
    LintCode.SPAM_PHRASE.value: "A phrase is one that filters take for spam.",
    LintCode.CAPITALS.value: "Most of the text is in capitals.",
    LintCode.LINK_BROKEN.value: "A link leads nowhere, or is unsafe.",
    LintCode.LINK_INSECURE.value: "A link is not encrypted.",
    LintCode.OPT_OUT_MISSING.value: "A marketing e-mail must show a way out.",
    LintCode.ADDRESS_MISSING.value: "A marketing e-mail must show where its sender can be written to.",
    LintCode.SCRIPT.value: "The letters are not those of the language.",
    LintCode.BRAND_REQUIRED.value: "A word that the brand rules ask for is missing.",
    LintCode.BRAND_BANNED.value: "A word is one that the brand rules ban.",
    type_lint.BRAND_TONE: "The text does not sound as the brand rules ask, by an estimate.",
}
"""One sentence for each code; a test walks the list."""


class TypeFinding(Frozen):
    """One thing that is wrong with a message type."""

    code: str
    field: str = Field(description="Its place in the document; empty for the document as a whole.")
    severity: Literal["error", "warning"] = Field(description="With an error the type is not published.")
    sentence: str


def of_document(document: Any, brand: BrandRules, reader: Reader) -> list[TypeFinding]:
    """Return everything that is wrong with a document as a message type, nothing where it can be published as it is.

    Args:
        document: JSON-ready values, as they are written in a file.
        brand: the tenant's words and tone.
        reader: estimates languages and tones.
    """
    try:
        definition = MessageType.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        return [
            _told(INVALID, ".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, ")) for each in found
        ]
    try:
        content.check(definition)
        publication.check(definition)
    except CannotRender as error:
        return [_told(TEMPLATE, str(error).split(" ", 1)[0], str(error))]
    except CannotPublish as error:
        return [_told(DUTY, str(error).partition(":")[0], str(error).partition(": ")[2])]
    return [_of(each) for each in type_lint.of_type(definition, brand, reader)]


def _of(placed: Placed) -> TypeFinding:
    told = _told(placed.code, placed.place, placed.detail)
    return told if placed.is_error else told.model_copy(update={"severity": "warning"})


def _told(code: str, field: str, detail: str) -> TypeFinding:
    sentence = f"{SENTENCES[code]} {detail[:1].upper()}{detail[1:]}."
    return TypeFinding(code=code, field=field, severity="error", sentence=sentence)
