"""Learned defaults: who counts as similar, who wins, and what is not told of small groups."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.learned_defaults import MIN_MEMBERS, SIMILAR, Basis, Member, choose, comparable, similarity
from domain.profiles import Profile

FRENCH = Profile(country="FR", language="fr", age=34)
GERMAN = Profile(country="DE", language="de", age=70)
BOTH = {"calm": 1, "loud": 1}

PROFILES = st.builds(
    Profile,
    country=st.none() | st.sampled_from(["FR", "DE"]),
    language=st.none() | st.sampled_from(["fr", "de"]),
    age=st.none() | st.integers(0, 150),
    industry=st.none() | st.sampled_from(["retail", "Retail", "law"]),
    skills=st.lists(st.sampled_from(["a", "b", "c"]), max_size=3).map(tuple),
)


def members(template, count, *, engaged=0, opted_out=0, profile=FRENCH, version=1):
    return [
        Member(template, version, profile, has_engaged=number < engaged, has_opted_out=number < opted_out)
        for number in range(count)
    ]


def test_the_template_whose_members_engage_more_is_chosen_with_the_counts():
    found = choose(FRENCH, members("calm", 40, engaged=30) + members("loud", 40, engaged=10), BOTH)
    assert (found.basis, found.chosen, found.version) == (Basis.CHOSEN, "calm", 1)
    calm, loud = found.candidates
    assert (calm.members, calm.engaged, loud.engaged) == (40, 30, 10)
    # (30 + 20 x 41/82) / 60
    assert calm.engaged_rate == pytest.approx(40 / 60, abs=1e-6)
    assert calm.value > loud.value
    assert found.fields == ("country", "language", "age")


def test_opting_out_outweighs_engaging():
    busy = members("loud", 40, engaged=36, opted_out=12)
    assert choose(FRENCH, members("calm", 40, engaged=20) + busy, BOTH).chosen == "calm"
    assert choose(FRENCH, members("calm", 40, engaged=20) + members("loud", 40, engaged=36), BOTH).chosen == "loud"


def test_a_small_group_is_neither_chosen_nor_told_of():
    few = members("calm", MIN_MEMBERS - 1, engaged=MIN_MEMBERS - 1)
    found = choose(FRENCH, few, BOTH)
    assert (found.basis, found.chosen) == (Basis.NOT_ENOUGH_DATA, None)
    for each in found.candidates:
        told = each.model_dump(exclude={"template_id", "version", "is_enough"}, exclude_none=True)
        assert (each.is_enough, told) == (False, {})
    assert choose(FRENCH, few + members("calm", 1), BOTH).chosen == "calm"


def test_only_similar_members_of_a_version_in_force_count():
    others = members("loud", 40, engaged=40, profile=GERMAN) + members("loud", 40, engaged=40, version=2)
    others += members("gone", 40, engaged=40)
    assert choose(FRENCH, members("calm", 40, engaged=1) + others, BOTH).chosen == "calm"
    assert choose(GERMAN, members("calm", 40) + others, BOTH).chosen == "loud"


def test_without_anything_to_compare_nobody_is_similar():
    assert similarity(Profile(country="FR"), FRENCH) is None
    assert choose(Profile(), members("calm", 40), BOTH).basis is Basis.NOT_ENOUGH_DATA
    assert choose(FRENCH, [], {}).candidates == ()


def test_a_lucky_small_group_is_drawn_towards_everybody():
    """Twenty of twenty against seventy of eighty: about half of the difference is left."""
    found = choose(FRENCH, members("calm", 20, engaged=20) + members("loud", 80, engaged=70), BOTH)
    calm, loud = found.candidates
    assert 0 < calm.engaged_rate - loud.engaged_rate < 0.6 * (1 - 70 / 80)


@given(PROFILES, PROFILES)
def test_similarity_is_symmetric_between_none_and_all_and_full_with_oneself(one, other):
    assert similarity(one, other) == similarity(other, one)
    assert similarity(one, other) is None or 0 <= similarity(one, other) <= 1
    assert similarity(one, one) in (None, 1.0)


@given(PROFILES, PROFILES)
def test_what_is_kept_of_a_profile_is_as_alike_as_all_of_it_and_says_no_more(one, other):
    whole = other.model_copy(update={"city": "Lyon", "attributes": {"tier": "gold"}, "locale": "fr-FR"})
    assert similarity(one, comparable(whole)) == similarity(one, whole)
    assert not {"city", "attributes"} & set(comparable(whole).model_dump(exclude_defaults=True))


@given(st.lists(st.tuples(st.sampled_from(["calm", "loud"]), PROFILES, st.booleans(), st.booleans()), max_size=120))
def test_what_is_told_is_of_groups_that_are_large_enough(given_members):
    several = [Member(name, 1, profile, engaged, out) for name, profile, engaged, out in given_members]
    found = choose(FRENCH, several, BOTH)
    for each in found.candidates:
        alike = [s for m in several if m.template_id == each.template_id and (s := similarity(FRENCH, m.profile))]
        enough = sum(s >= SIMILAR for s in alike)
        assert each.is_enough is (enough >= MIN_MEMBERS)
        assert each.members == (enough if each.is_enough else None)
