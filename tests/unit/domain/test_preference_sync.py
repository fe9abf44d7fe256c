"""Edits of a preference field: every order ends the same, and no clock, import or accident brings back an opt-out."""

from random import Random

import pytest

from domain.preference_sync import CONTRADICTION, NOTHING, Edit, merged, seen, standing, with_edits
from tests.edit_histories import careless, fault, honest

HISTORIES = 100_000
SEED = 20261126


def edit(device, number, *known, denies=False, is_act=True, at=0, value="on"):
    return Edit(device, number, known, denies, is_act, at, value)


def outcome(*edits):
    return standing(with_edits(NOTHING, edits))


@pytest.mark.parametrize("made", [honest, careless])
def test_a_hundred_thousand_histories_converge_and_resurrect_nothing(made):
    for seed in range(SEED, SEED + HISTORIES // 2):
        chance = Random(seed)
        edits = made(chance, 2 + seed % 5)
        assert fault(chance, edits) is None, f"seed {seed}: {edits}"


DENIAL = edit("phone", 1, denies=True, at=5, value="off")


def test_a_denial_beats_an_allow_that_did_not_know_of_it_whatever_the_clocks_say():
    assert outcome(edit("laptop", 1, at=10**9), DENIAL) is DENIAL
    assert outcome(edit("laptop", 1, is_act=True, at=-1), DENIAL) is DENIAL


def test_the_recipient_who_knew_of_the_denial_may_allow_again_even_with_a_slow_clock():
    again = edit("laptop", 1, ("phone", 1), at=1)
    assert outcome(DENIAL, again) is again
    assert outcome(again, DENIAL) is again, "the denial arrives late"


@pytest.mark.parametrize("device", ["phone", "import"])
def test_what_is_no_act_of_the_recipient_lifts_no_denial(device):
    default = edit(device, 2, ("phone", 1), is_act=False, at=10**9)
    assert outcome(DENIAL, default) is DENIAL
    assert outcome(default, DENIAL) is DENIAL


def test_a_second_denial_elsewhere_outlives_the_lifting_of_the_first():
    elsewhere = edit("laptop", 1, denies=True)
    again = edit("phone", 2, at=99)
    assert outcome(DENIAL, again, elsewhere) is elsewhere


def test_among_values_that_forbid_nothing_the_last_wins_and_ties_are_the_same_everywhere():
    daily, weekly = edit("phone", 1, at=1, value="daily"), edit("laptop", 1, at=2, value="weekly")
    assert outcome(daily, weekly) is outcome(weekly, daily) is weekly
    twins = edit("phone", 1, value="a"), edit("laptop", 1, value="b")
    assert outcome(*twins) is outcome(*reversed(twins))


def test_an_edit_that_arrives_before_the_one_it_follows_is_not_undone_by_it():
    first, second = edit("phone", 1, value="old", at=9), edit("phone", 2, value="new", at=1)
    assert outcome(second, first) is second


def test_edits_that_claim_to_have_known_of_each_other_allow_nothing():
    circle = edit("phone", 1, ("laptop", 1), denies=True), edit("laptop", 1, ("phone", 1))
    assert outcome(*circle) is CONTRADICTION
    again = edit("phone", 2, *seen(with_edits(NOTHING, circle)))
    assert outcome(*circle, again) is again


def test_a_device_goes_on_from_what_it_has_seen():
    field = merged(with_edits(NOTHING, [DENIAL]), with_edits(NOTHING, [edit("laptop", 3, ("desk", 2))]))
    assert seen(field) == (("desk", 2), ("laptop", 3), ("phone", 1))
    assert standing(NOTHING) is None
