"""Proposals: parts of variants are combined anew, and one that is approved fits its type and stays below its share."""

from datetime import UTC, datetime

import pytest

from domain import generation
from domain.content_lint import BrandRules
from domain.generation import Combinator, NotApprovable, State, propose
from domain.message_types import MAX_VARIANTS, Variant
from domain.permissions import Permission
from domain.proposals import TooLarge, brief_of, errors_of, fresh, joined, parts_of
from domain.roles import PERMISSIONS
from domain.slots import MAX_COMBINATIONS, Generated
from tests.builders import a_type

AT = datetime(2026, 3, 1, tzinfo=UTC)
NO_BRAND = BrandRules()


def push(name, **parts):
    return {"id": name, "content": {"push": parts}}


def of(*variants, **fields):
    return a_type(channels=["push"], variants=list(variants), **fields)


TWO = of(push("a", subject="A", body="one"), push("b", subject="B", body="two", call_to_action="Go"))


def made(definition, **fields):
    return list(Combinator().generate(brief_of(definition, most=50, **fields)))


def test_every_part_meets_every_other_and_what_is_there_already_is_not_new():
    found = made(TWO)
    assert [each.id for each in found] == ["s1__c1__b1", "s1__c1__b2", "s2__c1__b1", "s2__c1__b2"]
    assert [each.id for each in fresh(found, TWO.variants, most=50)] == ["s1__c1__b1", "s1__c1__b2", "s2__c1__b1"]
    assert [each.id for each in fresh(found + found, TWO.variants, most=2)] == ["s1__c1__b1", "s1__c1__b2"]
    renamed = found[0].model_copy(update={"id": "other"})
    assert fresh([found[0], renamed], [], most=50) == [found[0]]


def test_what_is_more_than_wanted_is_neither_measured_nor_linted():
    languages = {name: {"push": {"body": "x" * 19_000}} for name in ("fr", "de", "es", "it", "nl", "pt", "pl")}
    large = Variant.model_validate(push("large", body="x" * 19_000) | {"translations": languages})
    small, looked = candidate(), []
    assert fresh([small, large], [], most=1) == [small]
    with pytest.raises(TooLarge, match="128 KB of one variant"):
        fresh([small, large], [], most=2)
    found = propose(
        Combinator(),
        brief_of(TWO, most=50),
        errors_of=lambda variant: looked.append(variant.id) or [],
        chosen=lambda found: fresh(found, TWO.variants, most=1),
    )
    assert (looked, [each.variant.id for each in found]) == (["s1__c1__b1"], ["s1__c1__b1"])


def test_parts_that_are_said_twice_are_one_option_and_never_are_there_too_many():
    same = of(push("a", subject="A", body="one"), push("b", subject="B", body="one"))
    assert [each.id for each in parts_of(same).body] == ["b1"]
    many = of(*(push(f"v{n}", subject=f"S{n}", body=f"B{n}") for n in range(40)))
    assert 1 < parts_of(many).combinations() <= MAX_COMBINATIONS
    slots = {"body": [{"id": "one", "content": {"push": {"body": "One"}}}]}
    assert parts_of(a_type(channels=["push"], variants=None, slots=slots)) is None


def test_translations_and_named_texts_stay_with_their_part():
    variant = push("a", subject="A", body="one") | {
        "translations": {"fr": {"push": {"subject": "Ah", "body": "un"}}},
        "sources": {"body": {"from": "cms", "id": "t1"}},
    }
    (found,) = made(of(variant))
    assert found.translations["fr"]["push"].model_dump(exclude_none=True) == {"subject": "Ah", "body": "un"}
    assert found.sources["body"].question == ("ids", "t1")


def candidate(name="new", body="Fresh words", **generated):
    marked = Generated(by="combinator", approved_by="ann", approved_at=AT, **generated)
    return Variant.model_validate(push(name, body=body)).model_copy(update={"generated": marked})


@pytest.mark.parametrize(
    ("variant", "brand", "words"),
    [
        (candidate("a"), NO_BRAND, "has this id"),
        (candidate(body="Hi {{ name }}"), NO_BRAND, "variable name"),
        (candidate(body="{% if %}"), NO_BRAND, "not a Liquid template"),
        (candidate(body="Cheap words"), BrandRules(banned=("cheap",)), "brand.banned_word"),
        (Variant.model_validate({"id": "x", "content": {"sms": {"body": "b"}}}), NO_BRAND, "channel push"),
    ],
)
def test_what_does_not_fit_says_why_and_does_not_enter(variant, brand, words):
    (error, *_) = errors_of(TWO, variant, brand)
    assert words in error


def test_an_approved_variant_enters_with_its_cap_and_a_full_type_takes_none():
    entered = joined(TWO, candidate(traffic_share=0.03))
    assert generation.caps(entered.variants) == {"new": 0.03}
    assert entered.variants[:2] == TWO.variants
    full = of(*(push(f"v{n}", body=f"B{n}") for n in range(MAX_VARIANTS)))
    with pytest.raises(NotApprovable, match="at most 50"):
        joined(full, candidate())


def test_a_variant_that_waits_is_not_refused_for_waiting():
    found = propose(Combinator(), brief_of(TWO, most=1), errors_of=lambda variant: errors_of(TWO, variant, NO_BRAND))
    assert [each.state for each in found] == [State.PROPOSED]


def test_no_role_may_both_propose_and_approve():
    both = {Permission.TYPES_WRITE, Permission.TYPES_APPROVE}
    assert [role for role, held in PERMISSIONS.items() if both <= held] == []
    assert any(Permission.TYPES_APPROVE in held for held in PERMISSIONS.values())
