"""Lint: every code is found where it should be and not next door; quality is made from it as documented."""

import pytest

from domain import content
from domain.content_lint import BrandRules, LintCode, lint
from domain.content_quality import quality
from domain.values import Channel
from tests.builders import a_type

WORDS = {"type": "object", "properties": {"name": {"type": "string"}}}
ADDRESS = "1 Market Street, Springfield"
WAY_OUT = "https://kairos.example/u/abc"
FOOTER = "<p>{{ postal_address }} <a href='{{ unsubscribe_url }}'>Unsubscribe</a></p>"


def found(channel="push", brand=None, locale="en", name="Ann", message_class="service", **parts):
    block = {"body": "Your order has left our house."} | parts
    definition = a_type(
        channels=[channel], variants=[{"id": "a", "content": {channel: block}}], variables=WORDS, locale=locale,
        postal_address=ADDRESS, **{"class": message_class},
    )  # fmt: skip
    said = content.render(
        definition, channel=Channel(channel), variant_id="a", wanted=(), variables={"name": name},
        unsubscribe_url=WAY_OUT if message_class == "marketing" else "",
    )  # fmt: skip
    return [(each.code, each.part) for each in lint(definition, Channel(channel), said, brand)]


MAILED = {"channel": "email", "subject": "s", "message_class": "marketing"}
CASES = {
    LintCode.TITLE_LONG: [({"subject": "x" * 51}, "subject")],
    LintCode.BODY_LONG: [({"body": "x" * 151}, "body"), ({"channel": "sms", "body": "x" * 161}, "body")],
    LintCode.SLOT_UNRESOLVED: [
        ({"body": "Dear {{ name }}", "name": "{{ name }}"}, "body"),
        ({"body": "Dear customer, dear %%FIRSTNAME%%"}, "body"),
        ({"body": "Dear [First Name]"}, "body"),
        ({"subject": "Hello ${name}"}, "subject"),
    ],
    LintCode.SPAM_PHRASE: [({"body": "Act  NOW and see"}, "body"), ({"subject": "You are a winner!"}, "subject")],
    LintCode.CAPITALS: [({"subject": "READ THIS NOW please"}, "subject")],
    LintCode.LINK_BROKEN: [
        ({"body": "See https:///nowhere today"}, "body"),
        ({"channel": "email", "subject": "s", "body": "<a href=''>offers of today</a>"}, "body"),
    ],
    LintCode.LINK_INSECURE: [({"body": "See http://a.example today"}, "body"), ({"link": "http://a.example"}, "link")],
    LintCode.SCRIPT: [
        ({"body": "Ваш заказ отправлен"}, "body"), ({"locale": "ru", "body": "Your order has left"}, "body"),
        ({"locale": "ja", "body": "Your order has left"}, "body"),
    ],
    LintCode.BRAND_REQUIRED: [({"brand": BrandRules(required=("Kairos",))}, "body")],
    LintCode.BRAND_BANNED: [({"brand": BrandRules(banned=("ORDER",))}, "body")],
    LintCode.OPT_OUT_MISSING: [(MAILED | {"body": "<p>b {{ postal_address }}</p>"}, "body")],
    LintCode.ADDRESS_MISSING: [(MAILED | {"body": "<a href='{{ unsubscribe_url }}'>b</a>"}, "body")],
}  # fmt: skip


def test_every_code_has_a_case():
    assert set(CASES) == set(LintCode)


@pytest.mark.parametrize(("code", "given", "part"), [(code, *case) for code, cases in CASES.items() for case in cases])
def test_each_fault_is_found_by_its_code_and_part_and_nothing_else_is(code, given, part):
    assert found(**given) == [(code, part)]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"subject": "x" * 50, "body": "x" * 150},
        {"body": "An actor now living in winnersville"},
        {"subject": "USA and EU: news"},
        {"body": "See https://shop.example/a?b=1#c today"},
        {"locale": "ru", "body": "Ваш заказ отправлен"},
        {"locale": "ja", "body": "ご注文の商品を発送しました"},
        {"locale": "sr-Latn", "body": "Vasa narudzbina je poslata"},
        {"brand": BrandRules(required=("house",), banned=("hou",))},
        {"channel": "email", "subject": "s", "body": f"<p>Offers</p>{FOOTER}", "message_class": "marketing"},
    ],
)
def test_what_is_right_is_left_alone(given):
    assert found(**given) == []


def test_a_finding_does_not_repeat_what_a_variable_held():
    definition = a_type(
        channels=["push"], variants=[{"id": "a", "content": {"push": {"body": "{{ name }}"}}}], variables=WORDS
    )
    said = content.render(
        definition, channel=Channel.PUSH, variant_id="a", wanted=(), variables={"name": "SECRET ${PERSON} http://x.example"}
    )  # fmt: skip
    told = " ".join(each.model_dump_json() for each in lint(definition, Channel.PUSH, said))
    assert told
    assert not any(word in told for word in ("SECRET", "PERSON", "x.example"))


def findings(*codes):
    definition = a_type()
    said = content.RenderedContent(locale="en", subject="x" * 80, body="{{ x" if "error" in codes else "b")
    return lint(definition, Channel.EMAIL if "warning" in codes else Channel.IN_APP, said)


@pytest.mark.parametrize(
    ("codes", "fields", "score"),
    [
        ((), {}, 1.0),
        ((), {"degraded": "stale_features"}, 0.8),
        ((), {"degraded": "rules"}, 0.6),
        ((), {"calibration_error": 0.02}, 0.8),
        ((), {"calibration_error": 0.5}, 0.0),
        (("error",), {}, 0.0),
    ],
)
def test_quality_is_the_product_of_its_three_parts(codes, fields, score):
    assert quality(findings(*codes), **({"degraded": None} | fields)).score == pytest.approx(score)


def test_each_warning_costs_a_tenth():
    push = a_type(channels=["push"], variants=[{"id": "a", "content": {"push": {"body": "b"}}}])
    said = content.RenderedContent(locale="en", subject="Act now: " + "x" * 50, body="b" * 151)
    made = quality(lint(push, Channel.PUSH, said), degraded="stale_features")
    assert [each.code for each in made.findings] == [
        LintCode.TITLE_LONG, LintCode.BODY_LONG, LintCode.SPAM_PHRASE
    ]  # fmt: skip
    assert (made.lint, made.score) == (pytest.approx(0.7), pytest.approx(0.56))
