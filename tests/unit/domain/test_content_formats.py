"""Forms of a message by channel: the parts it has, markup that is escaped, and limits that refuse and never cut."""

import pytest
from pydantic import ValidationError

from domain import content, links, plain_text
from domain.templates import CannotRender
from domain.values import Channel
from tests.builders import a_type

WORDS = {"type": "object", "properties": {"name": {"type": "string"}, "n": {}, "at": {"type": "string"}}}


def said(channel, wanted=(), translations=None, of=None, **parts):
    variant = {
        "id": "a",
        "content": {channel: {"body": "b"} | parts.pop("content", {})},
        "translations": translations or {},
    }
    definition = a_type(channels=[channel], variants=[variant], variables=WORDS, **(of or {}))
    return content.render(
        definition, channel=Channel(channel), variant_id="a", wanted=wanted, variables=parts, unsubscribe_url=""
    )  # fmt: skip


def test_an_email_has_a_text_part_made_from_its_body():
    body = "<h1>Hi {{ name }}</h1><p>See the <a href='https://shop.example/a'>offers</a>.</p><style>p{}</style>"
    made = said("email", content={"subject": "s", "preheader": "Look\n inside", "body": body}, name="A&B")
    assert made.text == "Hi A&B\n\nSee the offers (https://shop.example/a)."
    assert made.preheader == "Look inside"
    given = said("email", content={"subject": "s", "body": "<p>b</p>", "text": "own words"})
    assert given.text == "own words"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("a<br>b", "a\nb"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("<a href='https://x.example'>https://x.example</a>", "https://x.example"),
        ("<a href='https://x.example'></a>", "https://x.example"),
        ("<img alt='a shoe' src='https://x.example/i.png'>", "a shoe"),
        ("<script>alert(1)</script>a &lt; b &nbsp; c", "a < b c"),
        ("<p>unclosed <b>tags", "unclosed tags"),
        ("", ""),
    ],
)
def test_html_is_read_as_people_would_read_it(html, text):
    assert plain_text.of_html(html) == text


def test_a_push_has_a_title_a_call_and_a_link():
    made = said("push", content={"subject": "t", "call_to_action": "Open", "link": "https://shop.example/{{ n }}"}, n=7)
    assert (made.subject, made.call_to_action, made.link) == ("t", "Open", "https://shop.example/7")
    own = said("push", content={"link": "shop://cart"}, of={"link_schemes": ["shop"]})
    assert own.link == "shop://cart"


@pytest.mark.parametrize(
    ("channel", "parts", "words"),
    [
        ("push", {"link": "javascript:alert(1)"}, "the link is unsafe"),
        ("push", {"link": "shop://cart"}, "the link is unsafe"),
        ("push", {"link": "https://bank.example@evil.example/"}, "the link is unsafe"),
        ("push", {"link": "/relative"}, "the link is broken"),
        ("push", {"link": "https://a b.example"}, "the link is broken"),
        ("push", {"body": "x" * 3_501}, "longer than 3500 bytes"),
        ("push", {"body": "ж" * 1_751}, "longer than 3500 bytes"),
        ("sms", {"body": "x" * 460}, "takes 4 SMS segments, more than 3"),
        ("email", {"subject": "x" * 999, "body": "b"}, "longer than 998"),
        ("email", {"subject": "s", "body": "<a href='javascript:alert(1)'>x</a>"}, "link that is unsafe"),
        ("voice", {"body": "a <b>c</b>"}, "not SSML"),
        ("voice", {"body": "a <p>c"}, "not SSML: it is not well-formed"),
        ("voice", {"body": "<!DOCTYPE x [<!ENTITY a 'b'>]><speak>&a;</speak>"}, "it holds a declaration"),
    ],
)
def test_what_does_not_fit_its_channel_is_refused_whole(channel, parts, words):
    with pytest.raises(CannotRender, match=words):
        said(channel, content=parts)


def test_the_edges_fit():
    assert said("push", content={"body": "x" * 3_500}).body == "x" * 3_500
    assert said("sms", content={"body": "x" * 459}).segments == 3
    assert said("sms", content={"body": "x" * 460}, of={"sms_segments": 4}).segments == 4


def test_voice_is_ssml_with_its_variables_escaped():
    made = said("voice", content={"body": "Hello <break time='1s'/>{{ name }}"}, name="<p>&")
    assert made.body == "<speak>Hello <break time='1s'/>&lt;p&gt;&amp;</speak>"


@pytest.mark.parametrize(
    ("channel", "part"), [("sms", "call_to_action"), ("push", "preheader"), ("push", "text"), ("voice", "link")]
)
def test_a_part_that_a_channel_does_not_have_is_not_published(channel, part):
    with pytest.raises(ValidationError, match=f"{channel}.{part}: there is none on this channel"):
        said(channel, content={part: "https://x.example"})


@pytest.mark.parametrize("scheme", ["javascript", "data", "file", "Shop", "a b"])
def test_a_scheme_that_runs_or_reads_is_no_scheme_of_an_app(scheme):
    with pytest.raises(ValidationError):
        a_type(link_schemes=[scheme])


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("https://x.example/a?b=c#d", None),
        ("mailto:a@x.example", None),
        ("tel:+4930123", None),
        ("http://x.example", "insecure"),
        ("https://", "broken"),
        ("", "broken"),
        ("https://x.example\\@evil.example", "broken"),
        ("https://[::1", "broken"),
        ("data:text/html,x", "unsafe"),
        ("JaVaScRiPt:alert(1)", "unsafe"),
        ("java\tscript:alert(1)", "broken"),
        ("file:///etc/passwd", "unsafe"),
    ],
)
def test_addresses_are_told_apart(address, wrong):
    assert links.problem(address) == wrong


PLURALS = {
    "en": ({"one": "# file", "other": "# files"}, {0: "0 files", 1: "1 file", 2: "2 files", 1000: "1,000 files"}),
    "de": ({"one": "# Datei", "other": "# Dateien"}, {1: "1 Datei", 1000: "1.000 Dateien"}),
    "fr": ({"one": "# fichier", "other": "# fichiers"}, {0: "0 fichier", 1.5: "1,5 fichier", 2: "2 fichiers"}),
    "pl": (
        {"one": "# plik", "few": "# pliki", "many": "# plików", "other": "# pliku"},
        {1: "1 plik", 3: "3 pliki", 5: "5 plików", 22: "22 pliki", 1.5: "1,5 pliku"},
    ),
    "ru": (
        {"one": "# файл", "few": "# файла", "many": "# файлов", "other": "# файла"},
        {1: "1 файл", 2: "2 файла", 11: "11 файлов", 21: "21 файл"},
    ),
    "ar": (
        {"zero": "z", "one": "o", "two": "t", "few": "f", "many": "m", "other": "x"},
        {0: "z", 1: "o", 2: "t", 3: "f", 11: "m", 100: "x"},
    ),
    "ja": ({"other": "#個"}, {1: "1個", 2: "2個"}),
}


@pytest.mark.parametrize("locale", PLURALS)
def test_numbers_take_the_form_of_their_language(locale):
    forms, numbers = PLURALS[locale]
    words = ", ".join(f'{name}: "{form}"' for name, form in forms.items())
    translations = {locale: {"sms": {"body": f"{{{{ n | plural: {words} }}}}"}}}
    for number, expected in numbers.items():
        assert said("sms", wanted=[locale], translations=translations, n=number).body == expected


@pytest.mark.parametrize(
    ("locale", "template", "expected"),
    [
        ("de", "{{ n | number }}", "1.234,5"),
        ("fr-CA", "{{ n | currency: 'CAD' }}", "1\u00a0234,50\u00a0$"),
        ("en", "{{ n | number: 0 }}", "1,234"),
        ("tr", "{{ 0.25 | percent }}", "%25"),
        ("es", "{{ at | day: 'long' }}", "27 de noviembre de 2026"),
        ("en-GB", "{{ at | day }}", "27 Nov 2026"),
        ("xx", "{{ n | number }}", "1,234.5"),
    ],
)
def test_numbers_money_and_days_are_written_as_the_language_does(locale, template, expected):
    body = {locale: {"sms": {"body": template}}}
    assert said("sms", wanted=[locale], translations=body, n=1234.5, at="2026-11-27").body == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ name | plural: one: 'x', other: 'y' }}",
        "{{ n | plural: one: 'x' }}",
        "{{ n | plural: other: 'x', lots: 'y' }}",
        "{{ n | currency: 'XXXX' }}",
        "{{ n | number: 500 }}",
        "{{ name | day }}",
        "{{ 'now' | day }}",
        "{{ at | moment }}",
        "{{ at | day: 'secret' }}",
        "{{ '1e999999' | number }}",
    ],
)
def test_what_cannot_be_written_is_an_error_and_no_gap(template):
    with pytest.raises(CannotRender, match="the body cannot be filled"):
        said("sms", content={"body": template}, n=3, name="secret", at="2026-11-27")
