"""Another policy of variants is asked about what each decision knew, with its own belief, or not at all."""

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest

from cli.replayed_variants import OtherVariants
from domain import decision_replay, what_if
from domain.decision_record import Evidence, record
from domain.decisioning import recheck
from domain.policy import VariantPolicy
from domain.values import Channel
from models.content_bandit.context import vector
from models.variant_belief.belief import Learnt, Spread, VariantBelief
from models.variant_belief.scored import Versioned
from serving.variant_scores import ToVary, variant_scores
from tests.builders import RULES, SETTINGS, a_decision, a_request, a_situation, a_type, an_expectation

BOTH = (Channel.EMAIL, Channel.PUSH)
TENANT = SimpleNamespace(tenant="t")
FEATURES = {channel.value: {"active_days_count_30d": 12.0} for channel in BOTH}
SPREAD = Spread(epsilon=SETTINGS.epsilon, temperature=SETTINGS.temperature)
CONTENT = {"email": {"subject": "s", "body": "b"}, "push": {"body": "b"}}
TONES = {"a": "formal", "b": "urgent"}
DEFINITION = a_type(
    variants=[{"id": name, "content": CONTENT, "features": {"tone": tone}} for name, tone in TONES.items()]
)


def learnt(rows=600):
    """A belief that ``b`` is answered more often than ``a``."""
    arm = np.arange(rows) % 2
    context = np.tile(vector(Channel.EMAIL, None), (rows, 1))
    reward = (arm == 1) * (np.arange(rows) % 5 == 0) * 1.0
    batch = Learnt(context, np.zeros(rows), arm, np.full((rows, 2), 0.5), reward)
    return VariantBelief.fresh(("a", "b")).learned(batch)


class Stored:
    """Keeps one version of one type."""

    def __init__(self, version, belief):
        body = belief.as_bytes()
        self.kept = {("news", version): SimpleNamespace(body=body, digest=hashlib.sha256(body).digest())}

    def in_version(self, tenant, message_type, version):
        assert tenant == "t"
        return self.kept.get((message_type, version))


def scores(policy, number, belief):
    asked = ToVary(f"d-{number}", DEFINITION, BOTH, features=FEATURES, exposure={"b": number / 4}, asked=policy)
    return variant_scores(lambda *_: belief, "t", [asked], spread=SPREAD)[0]


def a_past(policy, number=0, belief=None):
    situation = a_situation(definition=DEFINITION)
    expected = an_expectation({Channel.EMAIL: 0.05, Channel.PUSH: 0.01}, variants=scores(policy, number, belief))
    draft = a_decision(a_request(), situation, expected, decision_id=f"d-{number}")
    kept = record(recheck(draft, situation), Evidence("s", False, True, None, SETTINGS, 1))  # noqa: FBT003
    return decision_replay.past(json.loads(json.dumps(kept)), DEFINITION, RULES)


def others(policy, stored, *more):
    return OtherVariants(stored, TENANT, what_if.changes(None, [f"variant_policy={policy}", *more]))


@pytest.mark.parametrize("policy", [each for each in VariantPolicy if each is not VariantPolicy.RULES])
def test_the_chances_are_those_the_policy_would_have_given_then(policy):
    belief = Versioned(4, learnt())
    was = VariantPolicy.UNIFORM if policy is not VariantPolicy.UNIFORM else VariantPolicy.THOMPSON
    past = [a_past(was, number, belief) for number in range(5)]
    found = others(policy, Stored(4, belief.belief)).of(past)
    assert [variants for _, variants in found] == [scores(policy, number, belief) for number in range(5)]
    assert [each for each, _ in found] == past
    _, variants = found[0]
    asked = what_if.changes(None, [f"variant_policy={policy}"]).of(past[0], variants)
    assert what_if.variant_stage(asked, what_if.Action(channel=Channel.PUSH)).policy is policy.in_its_version


def test_before_anything_was_learnt_the_prior_is_asked_and_no_store():
    others_ = others("epsilon_softmax", None)
    [(_, variants)] = others_.of([a_past(VariantPolicy.THOMPSON)])
    assert variants[Channel.PUSH].probabilities == (0.5, 0.5)


def test_a_decision_whose_belief_is_gone_is_left_out_and_counted():
    belief = learnt()
    past = [
        a_past(VariantPolicy.UNIFORM, number, Versioned(version, belief)) for number, version in enumerate((3, 4, 0))
    ]
    asked = others("thompson", Stored(4, belief))
    assert [each.asked.decision_id for each, _ in asked.of(past)] == ["d-1", "d-2"]
    assert asked.left_out == 1


def test_what_rules_drew_can_be_asked_about_no_policy_that_needs_a_belief():
    past = [a_past(VariantPolicy.RULES)]
    asked = others("thompson", None)
    assert (asked.of(past), asked.left_out) == ([], 1)
    assert others("uniform", None).of(past) == [(past[0], None)]


def test_rules_draw_evenly_whatever_was_scored():
    past = a_past(VariantPolicy.INVERSE_GAP, belief=Versioned(4, learnt()))
    [(_, variants)] = others("rules", None).of([past])
    stage = what_if.variant_stage(what_if.changes(None, []).of(past, variants), what_if.Action(channel=Channel.PUSH))
    assert (stage.policy.value, stage.probabilities) == ("rules_v1", (0.5, 0.5))


def test_another_temperature_spreads_epsilon_softmax_anew_and_leaves_the_others():
    belief = Versioned(4, learnt())
    stored, change = Stored(4, belief.belief), what_if.changes(None, ["temperature=0.001"])
    softmax, thompson = a_past(VariantPolicy.EPSILON_SOFTMAX, 1, belief), a_past(VariantPolicy.THOMPSON, 2, belief)
    (_, colder), (_, same) = OtherVariants(stored, TENANT, change).of([softmax, thompson])
    assert same is None
    were = softmax.asked.expected.variants[Channel.EMAIL].probabilities
    assert max(colder[Channel.EMAIL].probabilities) > max(were)


def test_a_policy_nobody_knows_is_told_with_those_there_are():
    with pytest.raises(what_if.BadChange, match="variant_policy=best: expected one of rules, uniform"):
        what_if.changes(None, ["variant_policy=best"])
