"""Generators: what no person wrote is linted, approved by one, and drawn no more often than it may be."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain import generation, proposals
from domain.content_lint import BrandRules
from domain.generation import Brief, Combinator, NotApprovable, State, approve, capped, propose
from domain.message_types import Variant
from domain.slots import MAX_GENERATED_SHARE, Generated, Slots
from domain.stages import StageName
from domain.values import Channel
from tests.builders import a_decision, a_situation, a_type

AT = datetime(2026, 3, 1, tzinfo=UTC)
SLOTS = Slots.model_validate(
    {
        "subject": [{"id": name, "content": {"push": {"subject": name}}} for name in ("one", "two")],
        "body": [{"id": name, "content": {"push": {"body": name}}} for name in ("long", "short")],
    }
)
BRIEF = Brief(type="news", channels=(Channel.PUSH,), locale="en", slots=SLOTS)


class Model:
    """Stands for a plug-in that writes."""

    name = "llm:example"

    def generate(self, brief):
        approved = Generated(by="marketing", approved_by="myself", approved_at=AT, traffic_share=0.2)
        content = {Channel.PUSH: {"body": "b"}}
        return [Variant(id=f"made_{i}", content=content, generated=approved) for i in range(brief.most + 3)]


def test_the_combinator_says_only_what_people_wrote_and_waits_like_any_other():
    found = propose(Combinator(), BRIEF, errors_of=lambda _: ())
    assert [each.variant.id for each in found] == ["one__long", "one__short", "two__long", "two__short"]
    assert {(each.state, each.variant.generated.by) for each in found} == {(State.PROPOSED, "combinator")}
    assert Combinator().generate(BRIEF.model_copy(update={"slots": None})) == ()
    assert len(Combinator().generate(BRIEF.model_copy(update={"most": 3}))) == 3


def test_what_a_model_writes_waits_for_a_person_whatever_it_claims():
    found = propose(Model(), BRIEF, errors_of=lambda _: ())
    assert len(found) == BRIEF.most
    assert {each.state for each in found} == {State.PROPOSED}
    assert {(each.variant.generated.by, each.variant.generated.approved_by) for each in found} == {
        ("llm:example", None)
    }
    assert {each.variant.generated.traffic_share for each in found} == {0.05}


def test_what_lint_refuses_nobody_can_approve():
    (found,) = propose(Model(), BRIEF.model_copy(update={"most": 1}), errors_of=lambda _: ("slot.unresolved",))
    assert found.state is State.REFUSED
    with pytest.raises(NotApprovable, match=r"made_0 cannot be approved: slot\.unresolved"):
        approve(found, errors_of=lambda _: (), by="ann", at=AT)


def test_words_that_were_banned_after_the_proposal_keep_it_from_being_approved():
    definition = a_type(channels=["push"])
    (found,) = propose(
        Model(),
        BRIEF.model_copy(update={"most": 1}),
        errors_of=lambda variant: proposals.errors_of(definition, variant, BrandRules()),
    )
    assert found.state is State.PROPOSED
    brand = BrandRules(banned=("b",))
    with pytest.raises(NotApprovable, match=r"brand\.banned_word"):
        approve(found, errors_of=lambda variant: proposals.errors_of(definition, variant, brand), by="ann", at=AT)


def test_an_approval_says_who_and_when():
    candidate = propose(Model(), BRIEF, errors_of=lambda _: ())[0]
    passed = approve(candidate, errors_of=lambda _: (), by="ann", at=AT)
    assert (passed.state, passed.variant.generated.approved_by) == (State.APPROVED, "ann")
    assert passed.variant.generated.approved_at == AT
    assert approve(passed, errors_of=lambda _: (), by="bob", at=AT) == passed


def test_a_type_tells_which_of_its_variants_nobody_approved():
    variants = a_type().document()["variants"]
    asked = a_type(variants=[variants[0], variants[1] | {"generated": {"by": "llm:example"}}])
    assert generation.unapproved(asked) == ["b"]
    assert generation.unapproved(a_type()) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"traffic_share": MAX_GENERATED_SHARE + 0.01},
        {"traffic_share": 0},
        {"approved_by": "ann"},
        {"approved_at": AT},
        {"by": "Not A Name"},
    ],
)
def test_no_variant_is_half_approved_or_gets_most_of_the_traffic(fields):
    with pytest.raises(ValidationError):
        Generated(**({"by": "llm:example"} | fields))


WEIGHTS = st.lists(st.floats(0.001, 1), min_size=1, max_size=8)
CAPS = st.lists(st.one_of(st.none(), st.floats(0.01, MAX_GENERATED_SHARE)), min_size=8, max_size=8)


@given(WEIGHTS, CAPS)
def test_no_draw_falls_on_a_generated_variant_more_often_than_it_may(weights, limits):
    names = [f"v{i}" for i in range(len(weights))]
    given_ = [each / sum(weights) for each in weights]
    most = {name: cap for name, cap in zip(names, limits, strict=False) if cap is not None}
    told = capped(names, given_, most)
    assert sum(told) == pytest.approx(1)
    if len(most) < len(names):
        assert all(p <= most.get(name, 1.0) + 1e-12 for name, p in zip(names, told, strict=True))
        free = [i for i, name in enumerate(names) if name not in most]
        assert all(told[i] >= given_[i] - 1e-12 for i in free)
    else:
        assert told == tuple(given_)


APPROVED = {"by": "llm:example", "approved_by": "ann", "approved_at": "2026-03-01T00:00:00Z", "traffic_share": 0.2}


@pytest.mark.parametrize("is_holdout", [True, False])
def test_a_decision_draws_no_generated_variant_above_its_share(is_holdout):
    variants = a_type().document()["variants"]
    made = [variants[1] | {"id": name, "generated": APPROVED} for name in ("b", "c", "d", "e")]
    draft = a_decision(situation=a_situation(definition=a_type(variants=[variants[0], *made])), is_holdout=is_holdout)
    stage = draft.choice.stage(StageName.VARIANT)
    chances = {option.variant_id: p for option, p in zip(stage.options, stage.probabilities, strict=True)}
    assert chances == pytest.approx({"a": 0.8, "b": 0.05, "c": 0.05, "d": 0.05, "e": 0.05})


def test_what_is_spared_goes_to_the_others_in_proportion():
    assert capped(["a", "b", "c"], [0.5, 0.3, 0.2], {"a": 0.1}) == pytest.approx((0.1, 0.54, 0.36))
    assert capped(["a", "b"], [0.05, 0.95], {"a": 0.1}) == (0.05, 0.95)
