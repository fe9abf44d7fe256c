"""A type's belief: every policy keeps the floor and lets variants sleep, and a state is bytes that lose nothing."""

from dataclasses import replace

import numpy as np
import pytest

from domain.item_features import ItemFeatures
from domain.policy import PolicyName
from domain.values import Channel
from models.arm_draws import BadArms
from models.content_bandit.context import CONTEXT, vector
from models.content_bandit.items import item
from models.variant_belief.belief import BadBelief, Learnt, Rows, Spread, VariantBelief, digest

ARMS = ("a", "b", "c", "d")
SPREAD = Spread(epsilon=0.1, temperature=0.01)
FLOORS = {
    PolicyName.INVERSE_GAP: 0.02,
    PolicyName.THOMPSON: 0.02,
    PolicyName.RECOVERING_SOFTMAX: 0.02,
    PolicyName.EPSILON_SOFTMAX: SPREAD.epsilon,
    PolicyName.UNIFORM: 1.0,
}
EVERY = pytest.mark.parametrize("policy", FLOORS)


def a_batch(n=800, seed=1, arms=4, best=2):
    rng = np.random.default_rng(seed)
    context = np.array(
        [vector(Channel.PUSH, {"active_days_count_30d": float(days)}) for days in rng.integers(30, size=n)]
    )
    arm = rng.integers(arms, size=n)
    reward = (rng.random(n) < np.where(arm == best, 0.12, 0.03)).astype(float)
    return Learnt(context, rng.random(n), arm, np.full((n, arms), 1 / arms), reward)


def some_rows(n=60, seed=2, arms=4):
    rng = np.random.default_rng(seed)
    eligible = rng.random((n, arms)) < 0.6
    eligible[np.arange(n), rng.integers(arms, size=n)] = True
    context = np.array([vector(Channel.EMAIL, {"purchase_count_90d": float(k)}) for k in rng.integers(9, size=n)])
    return Rows(context, rng.random((n, arms)) * 4, eligible, [f"d-{row}" for row in range(n)])


@pytest.fixture(scope="module")
def learnt():
    return VariantBelief.fresh(ARMS).learned(a_batch())


@EVERY
def test_each_policy_sums_to_1_keeps_its_floor_and_lets_variants_sleep(learnt, policy):
    rows = some_rows()
    found = learnt.probabilities(policy, rows, SPREAD)
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-12
    assert (found[~rows.eligible] == 0).all()
    least = np.broadcast_to(FLOORS[policy] / rows.eligible.sum(axis=1, keepdims=True), found.shape)
    assert (found[rows.eligible] >= least[rows.eligible] - 1e-12).all()


@EVERY
def test_before_anything_was_learnt_who_saw_nothing_gets_each_variant_with_the_same_chance(policy):
    rows = some_rows()
    never = replace(rows, exposure=np.zeros_like(rows.exposure))
    found = VariantBelief.fresh(ARMS).probabilities(policy, never, SPREAD)
    even = rows.eligible / rows.eligible.sum(axis=1, keepdims=True)
    # Thompson counts draws, so that its even chances are even up to the draws' own noise.
    assert np.abs(found - even).max() < (0.12 if policy is PolicyName.THOMPSON else 1e-12)


@pytest.mark.parametrize("policy", sorted(set(FLOORS) - {PolicyName.UNIFORM}))
def test_the_variant_that_is_answered_most_is_the_likeliest(learnt, policy):
    rows = replace(some_rows(), eligible=np.ones((60, 4), dtype=np.bool_), exposure=np.zeros((60, 4)))
    assert (learnt.probabilities(policy, rows, SPREAD).argmax(axis=1) == 2).mean() > 0.9


def test_the_recovering_softmax_and_no_other_prior_shuns_what_was_just_seen():
    rows = Rows(np.zeros((1, len(CONTEXT))), np.array([[1.0, 0, 0, 0]]), np.ones((1, 4), dtype=np.bool_), ["d"])
    fresh = VariantBelief.fresh(ARMS)
    assert fresh.probabilities(PolicyName.RECOVERING_SOFTMAX, rows, SPREAD)[0, 0] < 0.01
    assert fresh.probabilities(PolicyName.INVERSE_GAP, rows, SPREAD)[0, 0] == pytest.approx(0.25)


@EVERY
def test_a_decision_has_the_same_bytes_alone_in_a_batch_and_after_its_belief_was_stored(learnt, policy):
    rows = some_rows()
    together = learnt.probabilities(policy, rows, SPREAD)
    read = VariantBelief.from_bytes(learnt.as_bytes())
    for row in range(8):
        one = slice(row, row + 1)
        alone = Rows(rows.context[one], rows.exposure[one], rows.eligible[one], rows.decision_ids[one])
        assert read.probabilities(policy, alone, SPREAD).tobytes() == together[one].tobytes()


def test_the_same_outcomes_in_the_same_batches_give_the_same_bytes():
    def after():
        belief = VariantBelief.fresh(ARMS)
        for seed in (1, 2, 3):
            belief = belief.learned(a_batch(200, seed))
        return belief.as_bytes()

    assert digest(after()) == digest(after())
    other = VariantBelief.fresh(ARMS).learned(a_batch(200, 1)).learned(a_batch(200, 3)).learned(a_batch(200, 2))
    assert other.as_bytes() != after()


def test_a_new_variant_starts_at_the_prior_and_changes_nothing_known_of_the_others(learnt):
    grown = learnt.with_arms(("c", "e"))
    assert grown.arms == (*ARMS, "e")
    rows = some_rows()
    wider = Rows(
        rows.context,
        np.hstack([rows.exposure, np.zeros((60, 1))]),
        np.hstack([rows.eligible, np.zeros((60, 1), dtype=np.bool_)]),
        rows.decision_ids,
    )
    before = learnt.probabilities(PolicyName.INVERSE_GAP, rows, SPREAD)
    assert np.abs(grown.probabilities(PolicyName.INVERSE_GAP, wider, SPREAD)[:, :4] - before).max() < 1e-12
    assert np.abs(np.linalg.eigvalsh(grown.bandit.posterior.precision)).min() > 0
    assert grown.learned(a_batch(100, arms=5)).learned_rows == learnt.learned_rows + 100
    assert grown.with_arms(ARMS) is grown


KINDS = {"dull": {}, "flat": {}, "cheap": {"has_discount": True}, "cheaper": {"discount_percent": 20}}
"""Two variants of two kinds; only a discount makes people answer."""


def kinds(**more):
    variants = (KINDS | more).items()
    return {name: item(ItemFeatures.model_validate(each)) for name, each in variants}


def taught(items):
    """Return what is believed after sends in which a discount was answered five times as often."""
    rng = np.random.default_rng(5)
    n, names = 6_000, tuple(KINDS)
    context = np.array([vector(Channel.PUSH, {"active_days_count_30d": float(k)}) for k in rng.integers(30, size=n)])
    arm = rng.integers(4, size=n)
    reward = (rng.random(n) < np.where(arm >= 2, 0.20, 0.04)).astype(float)
    before = VariantBelief.fresh(names).with_arms(names, items)
    return before.learned(Learnt(context, np.zeros(n), arm, np.full((n, 4), 1 / 4), reward))


def share_of_new(belief, items, policy):
    """Return the chance of a variant nobody saw, beside the four."""
    grown = belief.with_arms(("new",), items)
    rows = Rows(np.array([vector(Channel.PUSH, None)]), np.zeros((1, 5)), np.ones((1, 5), dtype=np.bool_), ["d"])
    return grown.probabilities(policy, rows, SPREAD)[0, grown.arms.index("new")]


@pytest.mark.parametrize("policy", [PolicyName.INVERSE_GAP, PolicyName.EPSILON_SOFTMAX])
def test_a_new_variant_of_a_good_kind_gets_more_than_its_floor_at_once_and_without_a_kind_it_does_not(policy):
    floor = FLOORS[policy] / 5
    good, bad = (kinds(new=each) for each in ({"has_discount": True, "discount_percent": 20}, {"has_discount": False}))
    belief = taught(kinds())
    assert share_of_new(belief, good, policy) > 3 * floor
    assert share_of_new(belief, bad, policy) < 2 * floor
    unsaid = dict.fromkeys((*KINDS, "new"), ())
    assert share_of_new(taught(unsaid), unsaid, policy) < 2 * floor


def test_items_that_are_declared_later_change_nothing_that_was_learnt(learnt):
    items = {"a": item(ItemFeatures(tone="formal")), "b": item(ItemFeatures(tone="urgent"))}
    told = learnt.with_arms(ARMS, items)
    assert told.with_arms(ARMS, items) is told
    rows = some_rows()
    policy = PolicyName.INVERSE_GAP
    before, after = (each.probabilities(policy, rows, SPREAD) for each in (learnt, told))
    assert np.abs(before - after).max() < 1e-12
    assert VariantBelief.from_bytes(told.as_bytes()).bandit.layout == told.bandit.layout
    # None declared any more: the columns stay, and say nothing.
    assert set(map(any, told.with_arms(ARMS, dict.fromkeys(ARMS, ())).bandit.layout.items)) == {False}


def test_a_belief_that_was_cut_changed_or_of_another_version_is_refused_with_the_reason(learnt):
    body = learnt.as_bytes()
    with pytest.raises(BadBelief, match="bytes"):
        VariantBelief.from_bytes(body[:-8])
    with pytest.raises(BadBelief, match="schema"):
        VariantBelief.from_bytes(body.replace(b"variant_belief/1", b"variant_belief/9"))
    with pytest.raises(BadBelief, match="begin with"):
        VariantBelief.from_bytes(b"")
    with pytest.raises(BadBelief, match="learned_rows"):
        VariantBelief.from_bytes(body.replace(b'"learned_rows"', b'"learned_cows"'))


def test_a_policy_that_chooses_no_variant_is_refused_by_name(learnt):
    with pytest.raises(BadArms, match="send_time_v1"):
        learnt.probabilities(PolicyName.SEND_TIME, some_rows(), SPREAD)


def test_a_draw_that_could_not_come_out_otherwise_teaches_the_softmax_nothing():
    sure = replace(a_batch(50), probabilities=np.eye(4)[a_batch(50).arm])
    after = VariantBelief.fresh(ARMS).learned(sure)
    assert not after.softmax.sums.table.any()
    assert after.learned_rows == 50


def test_what_is_missing_adds_nothing_and_is_not_taken_for_a_measured_zero():
    nothing, zero = vector(Channel.SMS, None), vector(Channel.SMS, {"purchase_count_90d": 0.0})
    assert nothing != zero
    assert sum(nothing) == 1
