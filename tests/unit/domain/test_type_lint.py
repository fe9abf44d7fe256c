"""Lint of a type: every variant, channel and language is filled with samples, and an error refuses publication."""

import json

import pytest
from typer.testing import CliRunner

from adapters import message_type_files
from adapters.message_type_files import BadTypeFile
from adapters.text_reader import TextReader
from cli.app import app
from domain import document_lint, language_lint, type_lint
from domain.content_lint import BrandRules, LintCode, ToneRange
from domain.message_types import BadVariables, check_variables
from domain.sample_variables import sample
from tests.builders import a_type

WRITTEN = "type: news\nclass: service\ncategory: news\nchannels: [push]\nvariants:\n  - id: a\n    content:\n"


READER = TextReader()
BODY = "variants.a.content.push.body"
ON_EMAIL = {"variants": [{"id": "a", "content": {"email": {"subject": "s", "body": "b"}}}]}


def found(definition, brand=None, reader=None):
    return [(each.place, each.code, each.is_error) for each in type_lint.of_type(definition, brand, reader)]


def a_push(body, **fields):
    given = {"class": "service", "channels": ["push"]} | fields
    return a_type(variants=[{"id": "a", "content": {"push": {"body": body}}}], **given)


def test_every_language_of_every_variant_is_looked_at_and_named():
    variants = [
        {"id": name, "content": {"push": {"body": "Hello"}}, "translations": {"fr": {"push": {"body": body}}}}
        for name, body in (("a", "Bonjour"), ("b", "Bonjour ${nom}"))
    ]
    definition = a_type(channels=["push"], variants=variants)
    assert found(definition) == [("variants.b.translations.fr.push.body", "slot.unresolved", True)]


def test_a_channel_the_type_does_not_have_is_not_looked_at():
    content = {"push": {"body": "Hello"}, "sms": {"body": "Hello ${name}"}}
    assert found(a_type(channels=["push"], variants=[{"id": "a", "content": content}])) == []


@pytest.mark.parametrize("body", ["{{ 1 | currency: 'NOPE' }}", "{{ '2026-03-01' | day: '%Y' }}", "a" * 3_501])
def test_what_cannot_be_filled_or_carried_is_found_before_a_decision_meets_it(body):
    assert found(a_push(body)) == [("variants.a.content.push", "template.unfillable", True)]


def test_a_tenants_words_are_looked_for():
    brand = BrandRules(required=("Kairos",), banned=("cheap",))
    codes = {code for _, code, _ in found(a_push("So cheap"), brand)}
    assert codes == {"brand.required_word_missing", "brand.banned_word"}
    assert found(a_push("Kairos is here"), brand) == []


@pytest.mark.parametrize(
    ("locale", "body", "looks"),
    [
        ("en", "Votre commande est dans la boîte pour vous", "fr"),
        ("fr-CA", "Votre commande est dans la boîte pour vous", None),
        ("pl", "Your order is on the way to you", "en"),
        ("pl", "Twoje zamówienie jest już w drodze i nie ma na co czekać", None),
        ("de", "Ihre Bestellung ist auf dem Weg zu Ihnen", None),
        ("de", "Su pedido está en camino, gracias por su compra", "es"),
        ("ar", "طلبك في الطريق إليك", None),
        ("ar", "Your order is on the way", "en"),
        ("en", "Ваш заказ отправлен и прибудет в понедельник", "ru"),
        ("ja", "ご注文の商品を発送しました", None),
        ("zh", "ご注文の商品を発送しました", "ja"),
        ("nb", "Din ordre er afsendt og ankommer mandag", None),
        ("pl", "Cześć Sample text, nowe Sample text", None),
        ("xx", "Votre commande est dans la boîte pour vous", None),
        ("en", "OK", None),
        ("sw", "Agizo lako liko njiani", None),
    ],
)
def test_a_text_in_another_language_than_it_says_is_told(locale, body, looks):
    assert language_lint.other_language(body, locale, READER) == looks
    if looks is not None:
        told = type_lint.of_type(a_push(body, locale=locale), reader=READER)
        wanted = [each for each in told if each.code == "language.other"]
        assert [(each.place, each.is_error) for each in wanted] == [("variants.a.content.push.body", False)]


@pytest.mark.parametrize(
    ("locale", "body", "tone"),
    [
        ("en", "We are thrilled, this is wonderful!", None),
        ("en", "This is a terrible disaster", "-0.80"),
        ("en-GB", "Your order has been shipped", "0.00"),
        ("de", "Das ist eine schreckliche Katastrophe", None),
    ],
)
def test_an_english_text_that_does_not_sound_like_the_brand_is_told_as_an_estimate(locale, body, tone):
    brand = BrandRules(tone=ToneRange(least=0.2))
    told = [each for each in type_lint.of_type(a_push(body, locale=locale), brand, READER) if each.code == "brand.tone"]
    wanted = [f"expected a tone from 0.2 to 1, the estimate is {tone}"] if tone is not None else []
    assert [each.detail for each in told] == wanted
    assert not any(each.is_error for each in told)


def test_a_digest_is_looked_at_like_a_variant():
    digest = {"at": ["18:00"], "content": {"push": {"body": "${count} new"}}}
    assert found(a_push("Hello", digest=digest)) == [("digest.content.push.body", "slot.unresolved", True)]


def test_every_code_has_a_sentence():
    assert set(document_lint.SENTENCES) >= {each.value for each in LintCode}


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"channels": []}, "document.invalid", "channels"),
        ({"tone": 1}, "document.invalid", "tone"),
        ({"variants": [{"id": "a", "content": {"push": {"body": "{{ x }}"}}}]}, "template.invalid", BODY),
        ({"variants": [{"id": "a", "content": {"push": {"body": "${x}"}}}]}, "slot.unresolved", BODY),
        ({"class": "marketing", "channels": ["email"]} | ON_EMAIL, "duty.missing", "postal_address"),
    ],
)
def test_a_document_is_told_what_is_wrong_by_field(fields, code, field):
    document = {"type": "news", "class": "service", "category": "news", "channels": ["push"]}
    document |= {"variants": [{"id": "a", "content": {"push": {"body": "Hello"}}}]}
    assert document_lint.of_document(document, BrandRules(), READER) == []
    first, *_ = document_lint.of_document(document | fields, BrandRules(), READER)
    assert (first.code, first.field, first.severity) == (code, field, "error")
    assert first.sentence.startswith(document_lint.SENTENCES[code])


@pytest.mark.parametrize(
    ("locale", "forms", "missing"),
    [
        ("en", "one: '#', other: '#'", set()),
        ("pl", "one: '#', few: '#', many: '#', other: '#'", set()),
        ("pl", "one: '#', other: '#'", {"few", "many"}),
        ("ar", "one: '#', two: '#', other: '#'", {"zero", "few", "many"}),
        ("ja", "other: '#'", set()),
    ],
)
def test_a_plural_form_the_language_has_and_the_template_does_not_is_told(locale, forms, missing):
    definition = a_push("{{ 2 | plural: " + forms + " }}", locale=locale)
    told = [each for each in type_lint.of_type(definition) if each.code == "plural.incomplete"]
    assert {each.detail.rpartition(" ")[2] for each in told} == missing


def test_a_variant_that_nobody_approved_is_not_published():
    variants = a_type(channels=["push"]).document()["variants"]
    variants[1]["generated"] = {"by": "llm:example"}
    (wrong,) = found(a_type(channels=["push"], variants=variants))
    assert wrong == ("variants.b.generated", "generated.not_approved", True)
    variants[1]["generated"] |= {"approved_by": "ann", "approved_at": "2026-03-01T00:00:00Z"}
    assert found(a_type(channels=["push"], variants=variants)) == []


def test_an_error_refuses_the_file_and_a_warning_does_not(tmp_path):
    file = tmp_path / "news.yaml"
    file.write_text(WRITTEN + "      push: {body: 'Hi ${name}'}\n")
    with pytest.raises(BadTypeFile, match=r"news\.yaml: variants\.a\.content\.push\.body: slot\.unresolved: "):
        message_type_files.load(file)
    file.write_text(WRITTEN + "      push: {body: 'THIS IS FOR YOU'}\n")
    assert message_type_files.load(file)[0].type == "news"


def test_the_command_tells_what_lint_found_and_fails_on_an_error(tmp_path):
    file = tmp_path / "news.yaml"
    for body, code, wrong in (("Hi ${name}", 1, "slot.unresolved"), ("THIS IS FOR YOU", 0, "words.capitals")):
        file.write_text(WRITTEN + f"      push: {{body: '{body}'}}\n")
        done = CliRunner().invoke(app, ["types", "lint", str(file), "--json"])
        told = json.loads(done.stdout)
        assert (done.exit_code, told["errors"]) == (code, code)
        assert [each["code"] for each in told["files"][str(file)]] == [wrong]


SCHEMA = {
    "type": "object",
    "properties": {
        "plain": {"type": "string", "maxLength": 5},
        "chosen": {"enum": ["a", "b"]},
        "shown": {"type": "string", "examples": ["Ann"]},
        "given": {"type": "string", "default": "Bob"},
        "count": {"type": "integer", "minimum": 3},
        "is": {"type": "boolean"},
        "link": {"type": "string", "format": "uri"},
        "at": {"type": "string", "format": "date-time"},
        "items": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "maybe": {"type": ["string", "null"]},
    },
}


def test_a_sample_has_every_variable_and_fits_its_schema():
    made = sample(SCHEMA)
    assert set(made) == set(SCHEMA["properties"])
    assert (made["plain"], made["chosen"], made["shown"], made["given"]) == ("Sampl", "a", "Ann", "Bob")
    try:
        check_variables(a_type(variables=SCHEMA), made)
    except BadVariables as error:
        pytest.fail(str(error))
