"""Blocks: the text that fits is said, in one language, with nothing of the request in it; else the type's own words."""

import pytest
from pydantic import ValidationError

from domain import content, content_blocks
from domain.content_blocks import BlockReason, Named, SaidBlock, SourceText
from domain.sourced_content import said, wanted
from domain.templates import CannotRender
from domain.values import Channel
from tests.builders import a_type

WORDS = {"type": "object", "properties": {"name": {"type": "string"}}}
VARIANT = {
    "id": "a",
    "sources": {"body": {"from": "cms", "category": "spring"}},
    "content": {
        "push": {"subject": "Hi {{ name }}", "body": "Our own"},
        "email": {"subject": "s", "body": "<p>Our own</p>", "text": "Our own"},
    },
    "translations": {"fr": {"push": {"subject": "Salut", "body": "Le nôtre"}}},
}
TYPE = a_type(variants=[VARIANT], variables=WORDS, **{"class": "service"})


def text(**fields):
    given = {"id": "t1", "type": "news", "channel": "push", "locale": "en", "fields": {"body": "From afar"}}
    return SourceText.model_validate(given | fields)


def blocks(*texts, channel=Channel.PUSH, languages=()):
    return wanted(TYPE, "a", channel, languages).of(lambda _: texts)


def rendered(given, channel=Channel.PUSH, languages=()):
    def render(chosen):
        return content.render(
            TYPE, channel=channel, variant_id="a", wanted=languages, variables={"name": "Ann"},
            unsubscribe_url="https://u.example/u/x", blocks=chosen,
        )  # fmt: skip

    return said(TYPE, channel, given, render)


def test_the_first_text_that_fits_takes_the_place_of_its_slot_and_of_nothing_else():
    (block,), shown = rendered(blocks(text(locale="fr"), text(type="other"), text(), text(id="t2")))
    assert (block.id, block.is_default, shown.subject, shown.body) == ("t1", False, "Hi Ann", "From afar")


@pytest.mark.parametrize("fields", [{"locale": "fr"}, {"type": "x"}, {"channel": "sms"}, {"category": "winter"}])
def test_what_is_of_another_kind_is_not_said(fields):
    (block,), shown = rendered(blocks(text(**fields)))
    assert (block.reason, shown.body) == (BlockReason.MISSING, "Our own")


def test_no_message_is_in_two_languages():
    texts = (text(), text(id="t2", locale="fr", fields={"body": "De loin"}))
    (block,), shown = rendered(blocks(*texts, languages=["fr"]), languages=["fr"])
    assert (block.id, shown.subject, shown.body, shown.locale) == ("t2", "Salut", "De loin", "fr")


@pytest.mark.parametrize(
    "body", ["Hi {{ name }}", "{% for", "{{ postal_address }}", "x" * 4_000, "[FIRST NAME], look", "{% include 'x' %}"]
)
def test_a_text_that_wants_the_requests_variables_or_cannot_be_sent_gives_way(body):
    (block,), shown = rendered(blocks(text(fields={"body": body})))
    assert (block.reason, block.id, block.fields, shown.body) == (BlockReason.UNFIT, "t1", {}, "Our own")


def test_an_e_mail_may_show_the_way_out_and_makes_its_plain_text_of_what_it_says():
    body = "<p>Far <a href='{{ unsubscribe_url }}'>out</a></p>"
    (block,), shown = rendered(
        blocks(text(channel="email", fields={"body": body}), channel=Channel.EMAIL), Channel.EMAIL
    )
    assert (block.is_default, "https://u.example/u/x" in shown.body, "Our own" in shown.text) == (False, True, False)


def test_a_text_without_the_slots_own_field_is_unfit():
    assert blocks(text(fields={"subject": "s"}))[0].reason is BlockReason.UNFIT


def test_a_default_that_cannot_be_filled_either_is_no_message():
    def render(_):
        raise CannotRender("the body cannot be filled")

    with pytest.raises(CannotRender):
        said(TYPE, Channel.PUSH, blocks(text()), render)


def test_a_recorded_block_is_read_as_it_was_and_its_digest_is_made_of_its_words():
    made = blocks(text())
    kept = [each.model_dump(mode="json") for each in made]
    assert content_blocks.again(kept) == made
    altered = [kept[0] | {"fields": {"body": "Altered"}}]
    assert content_blocks.again(altered)[0].sha256 != kept[0]["sha256"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"from": "cms"},
        {"from": "cms", "id": "a", "category": "b"},
        {"from": "files", "id": "a"},
        {"from": "cms", "id": "../a"},
    ],
)
def test_a_slot_names_one_text_of_a_place_there_is(wrong):
    with pytest.raises(ValidationError):
        Named.model_validate(wrong)


def test_a_slot_without_a_default_and_half_a_block_are_refused():
    with pytest.raises(ValidationError, match=r"sources\.call_to_action: content must have a default"):
        a_type(variants=[VARIANT | {"sources": {"call_to_action": {"from": "cms", "id": "x"}}}], variables=WORDS)
    with pytest.raises(ValidationError):
        SaidBlock(slot="body", is_default=False)
    with pytest.raises(ValidationError):
        SaidBlock(slot="body", is_default=True, reason=BlockReason.LATE, fields={"body": "b"})


def test_an_option_of_slots_names_a_text_and_its_kind_and_a_type_without_them_is_stored_as_before():
    option = {
        "id": "one", "source": {"from": "cms", "id": "t1"}, "content": {"push": {"body": "b"}},
        "features": {"tone": "urgent"},
    }  # fmt: skip
    plain = {"id": "hi", "content": {"push": {"subject": "s"}}, "features": {"has_discount": True}}
    made = a_type(channels=["push"], variants=None, slots={"subject": [plain], "body": [option]})
    (variant,) = made.variants
    assert variant.sources["body"].question == ("ids", "t1")
    assert (variant.features.tone, variant.features.has_discount) == ("urgent", True)
    assert type(made).model_validate(made.document()) == made
    stored = a_type().document()
    assert all(set(each) == {"id", "content", "translations"} for each in stored["variants"])
