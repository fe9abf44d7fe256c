"""Content: templates are checked before they are published, and filled safely, in the recipient's language."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from adapters import message_type_files
from adapters.message_type_files import BadTypeFile
from domain import content
from domain.message_types import BadVariables, check_variables
from domain.templates import CannotRender
from domain.values import Channel
from tests.builders import a_type

EMAIL, PUSH = Channel.EMAIL, Channel.PUSH
VARIABLES = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {"name": {"type": "string", "maxLength": 50}, "shop": {"type": "string", "default": "Kairos"}},
}


def one_variant(body="b", subject=None, channel="email", **fields):
    part = {"body": body} | ({"subject": subject} if subject else {})
    variant = {"id": "a", "content": {channel: part}} | fields
    return a_type(channels=[channel], variants=[variant], variables=VARIABLES)


def rendered(definition, channel=EMAIL, wanted=(), **variables):
    return content.render(definition, channel=channel, variant_id="a", wanted=wanted, variables=variables)


def test_variables_are_filled_in_and_left_out_ones_take_their_default():
    said = rendered(one_variant("Hello {{ name }} of {{ shop }}", "{{ name }}"), name="Ann")
    assert (said.subject, said.body, said.locale) == ("Ann", "Hello Ann of Kairos", "en")


def test_html_is_escaped_on_email_and_nowhere_else():
    evil = "<script>&"
    assert rendered(one_variant("<p>{{ name }}</p>"), name=evil).body == "<p>&lt;script&gt;&amp;</p>"
    assert rendered(one_variant("{{ name }}", channel="push"), PUSH, name=evil).body == evil


@pytest.mark.parametrize("breaking", ["\n", "\r\nBcc: x@y", "\u2028"])
def test_a_subject_is_one_line(breaking):
    said = rendered(one_variant("b", "Hi {{ name }}"), name=f"a{breaking}b")
    assert len(said.subject.splitlines()) == 1


def test_the_first_language_there_is_is_spoken():
    translations = {"fr": {"email": {"body": "bonjour"}}, "fr-CA": {"email": {"body": "allo"}}}
    definition = one_variant("hello", translations=translations)
    for wanted, body, locale in [
        (("fr-CA",), "allo", "fr-CA"),
        (("fr-BE",), "bonjour", "fr"),
        (("de", "fr"), "bonjour", "fr"),
        ((None, "de"), "hello", "en"),
    ]:
        said = rendered(definition, wanted=content.languages(*wanted), name="x")
        assert (said.body, said.locale) == (body, locale)


@pytest.mark.parametrize(
    "template",
    [
        "{{ 'now' | date: '%Y' }}",
        "{{ name | safe }}",
        "{% include 'secrets' %}",
        "{% render 'secrets' %}",
        "{{ surname }}",
        "{% if name %}",
        "{{ name | no_such_filter }}",
    ],
)
def test_a_template_that_could_fail_or_reach_out_is_not_published(template):
    with pytest.raises(CannotRender, match=r"variants\.a\.content\.email\.body"):
        content.check(one_variant(template))


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in (1..100000) %}x{% endfor %}",
        "{% for i in (1..999) %}{% for j in (1..999) %}x{% endfor %}{% endfor %}",
        "{{ name | append: name | append: name }}" * 10,
    ],
)
def test_no_template_loops_or_writes_without_end(template):
    definition = one_variant(template)
    with pytest.raises(CannotRender, match=r"Limit|Error|expected a range"):
        rendered(definition, name="x" * 20_000)


@pytest.mark.parametrize(
    ("variables", "field"),
    [
        ({}, "message.variables"),
        ({"name": 7}, "message.variables.name"),
        ({"name": "x" * 51}, "message.variables.name"),
        ({"name": "x", "other": "secret"}, "message.variables"),
    ],
)
def test_variables_that_do_not_fit_are_named_and_not_repeated(variables, field):
    with pytest.raises(BadVariables) as refused:
        check_variables(one_variant(), variables)
    assert refused.value.field == field
    assert "secret" not in str(refused.value)
    assert "x" * 51 not in str(refused.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"channels": []},
        {"channels": ["email", "email"]},
        {"channels": ["email", "sms"]},
        {"variants": []},
        {"class": "urgent"},
        {"surplus": 1},
        {"variables": {"type": "array"}},
        {"variables": {"type": "object", "properties": {"a": {"type": "no_such"}}}},
        {"variables": {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1/x"}}}},
        {"attribution_window_hours": 0},
    ],
)
def test_a_type_that_makes_no_sense_is_refused(fields):
    with pytest.raises(ValidationError):
        a_type(**fields)


def test_a_digest_changes_with_the_content_and_only_with_it():
    assert a_type().sha256() == a_type().sha256()
    assert a_type().sha256() != a_type(category="other").sha256()


def test_the_types_we_ship_can_be_published():
    shipped = {each.type: each for each in message_type_files.load(Path(__file__).parents[3] / "deploy/message_types")}
    assert {name: each.message_class.value for name, each in shipped.items()} == {
        "account_notice": "service",
        "coupon_a": "marketing",
        "coupon_b": "marketing",
        "coupon_c": "marketing",
        "order_update": "transactional",
        "security_alert": "service",
    }
    assert [name for name, each in shipped.items() if each.is_emergency] == ["security_alert"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type: [", "is not YAML at line"),
        ("type: news", "class: Field required"),
        ("!!python/object/apply:os.system [ls]", "is not YAML"),
        ("7", "valid dictionary"),
    ],
)
def test_a_bad_file_is_refused_by_file_and_field(tmp_path, text, words):
    file = tmp_path / "news.yaml"
    file.write_text(text)
    with pytest.raises(BadTypeFile, match=words) as refused:
        message_type_files.load(file)
    assert str(file) in str(refused.value)
