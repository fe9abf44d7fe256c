"""Slots: options of a subject, a call to action and a body become variants with ids that stay."""

import pytest
from pydantic import ValidationError

from domain import content
from domain.message_types import MessageType
from domain.slots import MAX_COMBINATIONS
from domain.values import Channel
from tests.builders import a_type


def option(name, slot, text=None, **more):
    return {"id": name, "content": {"email": {slot: text or name}, "push": {slot: text or name}}} | more


SLOTS = {
    "subject": [option("plain", "subject"), option("warm", "subject")],
    "call_to_action": [option("shop", "call_to_action"), option("look", "call_to_action")],
    "body": [option("short", "body"), option("long", "body"), option("list", "body")],
}


def a_slotted(slots=SLOTS, **fields):
    document = a_type().document() | {"slots": slots} | fields
    del document["variants"]
    return MessageType.model_validate(document)


def test_every_combination_is_a_variant_and_is_named_for_its_options():
    ids = [variant.id for variant in a_slotted().variants]
    assert ids[:3] == ["plain__shop__short", "plain__shop__long", "plain__shop__list"]
    assert len(ids) == len(set(ids)) == 12


def test_a_variants_id_stays_whatever_is_added_beside_it():
    more = SLOTS | {"subject": [option("first", "subject"), *SLOTS["subject"]]}
    assert {each.id for each in a_slotted().variants} < {each.id for each in a_slotted(more).variants}


def test_a_combination_says_what_its_options_say():
    told = content.render(a_slotted(), channel=Channel.PUSH, variant_id="warm__look__list", wanted=(), variables={})
    assert (told.subject, told.call_to_action, told.body) == ("warm", "look", "list")


def test_a_combination_never_speaks_two_languages():
    french = {"fr": {"push": {"subject": "sujet"}}}
    slots = SLOTS | {"subject": [option("plain", "subject", translations=french)]}
    half = a_slotted(slots).variants[0]
    assert half.translations == {}
    for slot in ("call_to_action", "body"):
        slots = slots | {slot: [each | {"translations": {"fr": {"push": {slot: "oui"}}}} for each in SLOTS[slot]]}
    whole = a_slotted(slots).variants[0]
    without = a_slotted(slots | {"subject": SLOTS["subject"]}).variants[0]
    assert without.translations == {}, "the subject would be in another language than the body"
    assert whole.in_language(Channel.PUSH, ["fr"])[1].model_dump(exclude_none=True) == {
        "subject": "sujet", "call_to_action": "oui", "body": "oui",
    }  # fmt: skip
    assert whole.in_language(Channel.EMAIL, ["fr"])[0] is None


def test_what_is_stored_is_the_slots_and_reads_back_the_same():
    definition = a_slotted()
    assert "variants" not in definition.document()
    again = MessageType.model_validate(definition.document())
    assert (again, again.sha256()) == (definition, definition.sha256())


TOO_MANY = {"body": [option(f"b{i}", "body") for i in range(MAX_COMBINATIONS + 1)]}


@pytest.mark.parametrize(
    ("slots", "words"),
    [
        ({"subject": SLOTS["subject"]}, "body"),
        ({"body": []}, "body"),
        (TOO_MANY, "at most 50 combinations, these are 51"),
        ({"body": [option("a", "body"), option("a", "body")]}, "options with different ids"),
        ({"body": [option("a__b", "body")]}, "id"),
        ({"body": [option("a", "subject")]}, "body.a.email must have body and maybe text"),
        ({"body": [{"id": "a", "content": {"email": {"body": "b"}}}]}, "must have content for channel push"),
        ({"body": [option("a", "body")], "footer": []}, "footer"),
    ],
)
def test_slots_that_cannot_be_combined_are_refused_with_the_place(slots, words):
    with pytest.raises(ValidationError) as refused:
        a_slotted(slots)
    assert words in str(refused.value)


def test_a_type_has_slots_or_variants():
    with pytest.raises(ValidationError, match="left out where slots are given"):
        a_type(slots=SLOTS)
