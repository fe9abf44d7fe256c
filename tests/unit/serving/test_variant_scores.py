"""What serving asks of the beliefs: only variants that may be sent, the same bytes alone and in a batch."""

import numpy as np
import pytest

from domain.policy import PolicyName, VariantPolicy
from domain.values import Channel
from models.content_bandit.context import CONTEXT, vector
from models.variant_belief.belief import Learnt, Spread, VariantBelief
from models.variant_belief.scored import Versioned
from serving.variant_scores import ToVary, stands_on_person, variant_scores
from tests.builders import a_type

SPREAD = Spread(epsilon=0.1, temperature=0.01)
BOTH = (Channel.EMAIL, Channel.PUSH)
FEATURES = {"email": {"active_days_count_30d": 12.0}, "push": {"active_days_count_30d": 12.0}}


def nobody_knows(_tenant, _message_type):
    return None


def believing(tenant, message_type):
    """A belief that learnt of ``a``, ``b`` and ``gone`` that ``b`` is answered."""
    assert (tenant, message_type) == ("t", "news")
    arm = np.arange(600) % 3
    context = np.tile(vector(Channel.EMAIL, None), (600, 1))
    batch = Learnt(context, np.zeros(600), arm, np.full((600, 3), 1 / 3), (arm == 1) * (np.arange(600) % 5 == 0) * 1.0)
    return Versioned(4, VariantBelief.fresh(("gone", "b", "a")).learned(batch))


def an_ask(decision_id="d", **fields):
    return ToVary(decision_id, fields.pop("definition", a_type()), fields.pop("channels", BOTH), **fields)


def scored(*asked, beliefs=believing):
    return variant_scores(beliefs, "t", asked, spread=SPREAD)


def test_the_type_names_the_policy_the_request_may_test_another_and_inverse_gap_is_the_default():
    thompson = a_type(variant_policy="thompson")
    asked = [an_ask(), an_ask(definition=thompson), an_ask(definition=thompson, asked=VariantPolicy.UNIFORM)]
    policies = [each[Channel.PUSH].policy for each in scored(*asked)]
    assert policies == [PolicyName.INVERSE_GAP, PolicyName.THOMPSON, PolicyName.UNIFORM]


def test_variants_that_are_gone_sleep_and_what_the_record_keeps_repeats_the_chances():
    (found,) = scored(an_ask(features=FEATURES, exposure={"a": 1.5}))
    scores = found[Channel.EMAIL]
    assert scores.arms == ("a", "b")
    assert sum(scores.probabilities) == pytest.approx(1, abs=1e-12)
    assert scores.probabilities[1] > 0.9
    assert scores.inputs["belief"] == 4
    assert scores.inputs["exposure"] == {"a": 1.5}
    assert len(scores.inputs["context"]) == len(CONTEXT)
    assert scores.inputs["expected"]["b"] > scores.inputs["expected"]["a"]


@pytest.mark.parametrize("policy", [each for each in VariantPolicy if each is not VariantPolicy.RULES])
def test_each_policy_gives_a_decision_the_same_bytes_alone_and_in_a_batch(policy):
    asked = [an_ask(f"d{n}", asked=policy, exposure={"a": n / 3}, features=FEATURES) for n in range(5)]
    together = scored(*asked)
    assert [scored(each)[0] for each in asked] == together


def test_where_no_channel_is_permitted_nothing_is_asked():
    assert scored(an_ask(channels=()), beliefs=None) == [{}]


def test_a_belief_that_cannot_answer_leaves_the_variant_to_rules_and_fails_no_decision():
    broken = VariantBelief.fresh(("a", "b"))
    broken.bandit.posterior.mean[:] = np.nan
    assert scored(an_ask(), beliefs=lambda *_: Versioned(1, broken)) == [{}]


def test_rules_and_a_type_with_one_variant_ask_no_belief():
    one = a_type(variants=[a_type().variants[0]])
    assert scored(an_ask(asked=VariantPolicy.RULES), an_ask(definition=one), beliefs=None) == [{}, {}]


def test_before_anything_was_learnt_the_prior_answers_evenly_and_says_so():
    (found,) = scored(an_ask(), beliefs=nobody_knows)
    assert found[Channel.EMAIL].probabilities == pytest.approx((0.5, 0.5))
    assert found[Channel.EMAIL].inputs["belief"] == 0


@pytest.mark.parametrize(
    ("known", "personal"), [({}, False), ({"features": FEATURES}, True), ({"exposure": {"a": 1}}, True)]
)
def test_chances_that_stand_on_features_or_on_what_was_seen_are_personal(known, personal):
    asked = an_ask(**known)
    assert stands_on_person(asked, scored(asked)[0]) is personal
