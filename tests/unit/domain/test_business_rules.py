"""Business rules: what they take away, require and favour, before any probability, and that all of it is recorded."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain import decision_replay, decisioning
from domain.business_rules import MOST_BOOST, BusinessRules, Ruled, evaluate
from domain.consent import ConsentStatus
from domain.decision_record import Evidence, answer, record
from domain.events import EventType
from domain.expected import ChannelTerms, Expected, VariantScores, Weights
from domain.explanations import explain
from domain.policy import PolicyName, StageName
from domain.segments import EventCount
from domain.values import Channel, Outcome, Reason
from tests.builders import NOON, RULES, SETTINGS, a_consent, a_decision, a_request, a_situation, a_type, an_expectation

EMAIL, PUSH = Channel.EMAIL, Channel.PUSH
RAIN = {"field": "context.external.weather.rain_mm", "greater_than": 2}


def rules(*given, **fields):
    named = [{"id": f"rule_{place}"} | each for place, each in enumerate(given)]
    return BusinessRules.model_validate({"rules": named} | fields)


def ruled(*given, facts=None, definition=None, may_personalize=True, **fields):
    found = rules(*given, **fields)
    return evaluate(found, 7, definition or a_type(), facts or {}, NOON, may_personalize=may_personalize)


def exclude(**fields):
    return {"action": "exclude"} | fields


def require(**fields):
    return {"action": "require"} | fields


def boost(by, **fields):
    return {"action": "boost", "by": by} | fields


def stored(draft):
    told = Evidence("s", False, True, None, SETTINGS, 1)  # noqa: FBT003 - is_holdout, may_personalize
    return json.loads(json.dumps(record(draft, told)))


def decided(found, **given):
    draft = a_decision(situation=a_situation(ruled=found), **given)
    return decisioning.recheck(draft, draft.situation)


def test_an_excluded_channel_is_refused_with_the_rule_that_did_it():
    draft = decided(ruled(exclude(channels=["email"])))
    (refusal,) = draft.screened.refusals
    assert (refusal.channel, refusal.reason, refusal.rule) == (EMAIL, Reason.RULE_EXCLUDED, "rule_0")
    assert draft.screened.permitted == (PUSH,)


def test_what_is_required_refuses_every_other_channel():
    draft = decided(ruled(require(channels=["push"])))
    assert [(each.channel, each.reason) for each in draft.screened.refusals] == [(EMAIL, Reason.RULE_REQUIRED)]


def test_when_rules_leave_nothing_nothing_is_sent_and_no_moment_is_waited_for():
    draft = decided(ruled(exclude(channels=["email"]), require(channels=["sms"])))
    assert (draft.outcome, draft.reason, draft.send_at) == (Outcome.SUPPRESS, Reason.RULE_EXCLUDED, None)


def test_at_night_what_rules_exclude_is_not_deferred():
    night = a_situation(now=NOON + timedelta(hours=12), ruled=ruled(exclude(channels=["email", "push"])))
    assert a_decision(situation=night).outcome is Outcome.SUPPRESS


def test_rules_open_nothing_that_consent_closes():
    refused = {"consents": (a_consent(ConsentStatus.REFUSED),)}
    found = ruled(require(channels=["push"]), boost(0.5, channels=["push"]))
    draft = a_decision(situation=a_situation(ruled=found, allowances=refused))
    assert draft.outcome is Outcome.SUPPRESS
    assert {each.reason for each in draft.screened.refusals} == {Reason.CONSENT_REFUSED}


@pytest.mark.parametrize("is_holdout", [False, True])
def test_an_excluded_variant_is_never_drawn_by_models_rules_or_the_holdout(is_holdout):
    found = ruled(exclude(variants=["a"], channels=["email"]))
    scores = VariantScores(policy=PolicyName.INVERSE_GAP, arms=("a", "b"), probabilities=(0.9, 0.1))
    terms = {EMAIL: ChannelTerms(p_convert=0.9), PUSH: ChannelTerms(p_convert=0.01)}
    for told in (None, Expected(channels=terms, variants={EMAIL: scores})):
        for place in range(60):
            draft = decided(found, expected=told, is_holdout=is_holdout, decision_id=f"d-{place}")
            stage = draft.choice.stage(StageName.VARIANT)
            if stage is not None and draft.action.channel is EMAIL:
                assert (stage.action.variant_id, stage.probabilities) == ("b", (1.0,))


def test_a_boost_moves_the_value_by_its_share_of_the_conversions_and_is_a_term_of_its_own():
    terms = ChannelTerms(p_convert=0.1, p_opt_out=0.01, channel_value=1.0, cost=0.02, boost=0.25)
    assert terms.terms(Weights())["boost"] == pytest.approx(0.025)
    assert terms.value(Weights()) == pytest.approx(0.1 + 0.025 - 0.01 - 0.02)


def test_boosts_add_up_to_the_cap_and_no_further():
    both = (boost(0.4, channels=["email"]), boost(0.4, channels=["email"]))
    assert ruled(*both).boost(EMAIL) == MOST_BOOST
    assert ruled(*both, boost_cap=0.1).boost(EMAIL) == pytest.approx(0.1)
    assert ruled(*both).boost(PUSH) == 0.0
    assert ruled(boost(-0.5, channels=["email"]), boost(-0.3, channels=["email"])).boost(EMAIL) == -MOST_BOOST


def test_a_boosted_variant_is_likelier_and_the_floor_is_kept():
    scores = VariantScores(policy=PolicyName.INVERSE_GAP, arms=("a", "b"), probabilities=(0.99, 0.01))
    terms = {EMAIL: ChannelTerms(p_convert=0.9)}
    definition = a_type(channels=["email"])

    def chances(*given):
        found = ruled(*given, definition=definition)
        told = Expected(channels=terms, variants={EMAIL: scores})
        situation = a_situation(ruled=found, definition=definition)
        drafts = (a_decision(situation=situation, expected=told, decision_id=f"d-{n}") for n in range(20))
        return next(each for each in drafts if each.action.is_send).choice.stage(StageName.VARIANT).probabilities

    assert chances(boost(0.5, channels=["email"])) == scores.probabilities
    moved = chances(boost(0.5, variants=["b"]), boost(-0.5, variants=["a"]))
    assert moved[1] > 0.01
    assert min(chances(boost(-0.5, variants=["b"]))) >= SETTINGS.epsilon / 2
    assert sum(moved) == pytest.approx(1.0)


def test_a_condition_that_hangs_on_something_unknown_does_nothing():
    rain = exclude(when=RAIN)
    assert ruled(rain).refused == {}
    assert ruled(rain, facts={"context.external.weather.rain_mm": 3.0}).refused.keys() == {EMAIL, PUSH}
    assert ruled(rain, facts={"context.external.weather.rain_mm": 1}).refused == {}
    assert ruled(exclude(when={"not": RAIN})).refused == {}


def test_conditions_may_ask_about_the_message_and_the_option():
    assert ruled(exclude(when={"field": "message.class", "equals": "marketing"})).refused.keys() == {EMAIL, PUSH}
    assert ruled(exclude(when={"field": "message.type", "equals": "other"})).refused == {}
    on_push = {"and": [{"field": "channel", "equals": "push"}, {"field": "variant", "equals": "a"}]}
    assert ruled(exclude(when=on_push)).variants == {PUSH: ("b",)}


def test_a_boost_that_asks_about_the_recipient_needs_leave_to_personalize_and_an_exclusion_does_not():
    young = {"field": "profile.age", "less_than": 18}
    facts = {"profile.age": 17}
    favour = boost(0.2, when=young)
    assert ruled(favour, facts=facts).is_personal
    assert ruled(favour, facts=facts, may_personalize=False) == Ruled(version=7)
    assert ruled(exclude(when=young), facts=facts, may_personalize=False).refused != {}


def test_counts_of_events_can_be_asked_about():
    count = EventCount(EventType("purchase"), 7)
    busy = exclude(when={"count": {"event": "purchase", "days": 7}, "greater_than": 2})
    assert rules(busy).subjects == {count}
    assert ruled(busy, facts={count.name: 3}).refused.keys() == {EMAIL, PUSH}


def test_what_fired_is_recorded_explained_and_replayed_byte_for_byte():
    found = ruled(exclude(channels=["push"], variants=["a"]), boost(0.3, variants=["b"]), require(channels=["push"]))
    draft = decided(found, expected=an_expectation({PUSH: 0.5}))
    kept = stored(draft)
    assert kept["business_rules"]["version"] == kept["versions"]["business_rules"] == 7
    assert [each["rule"] for each in kept["business_rules"]["fired"]] == ["rule_0", "rule_1", "rule_2"]
    assert "Rules of the sender that applied: rule_0, rule_1, rule_2." in explain(kept)
    again = decision_replay.past(kept, draft.situation.definition, RULES)
    assert decision_replay.differences(again) == ()
    kept["business_rules"]["boosts"] = {}
    kept["business_rules"]["variants"] = {}
    assert decision_replay.differences(decision_replay.past(kept, draft.situation.definition, RULES)) != ()


def test_the_outside_counts_and_is_kept_only_where_the_type_declares_it():
    definition = a_type(external_features=["weather.rain_mm"])
    outside = {"weather": {"rain_mm": 3.5, "wind": 2}, "market": {"index": 1}}
    request = a_request(context={"external": outside, "device": "ios", "location": {"country": "FR"}})
    facts = request.context.facts(definition.external_features)
    assert facts == {"context.device": "ios", "context.country": "FR", "context.external.weather.rain_mm": 3.5}
    draft = a_decision(request, a_situation(definition=definition))
    kept = stored(draft)
    assert kept["request"]["context"]["external"] == {
        "market": {}, "weather": {"rain_mm": 3.5}, "event": {}, "social": {},
    }  # fmt: skip
    assert kept["external_ignored"] == ["market.index", "weather.wind"]
    again = decision_replay.past(stored(decisioning.recheck(draft, draft.situation)), definition, RULES)
    assert decision_replay.differences(again) == ()
    nothing = a_decision(request)
    assert stored(nothing)["request"]["context"]["external"] is None


@pytest.mark.parametrize(
    ("context", "field"),
    [
        ({"location": {"lat": 48.85}}, "location.lat"),
        ({"location": {"country": "France"}}, "location.country"),
        ({"device": "a" * 65}, "device"),
        ({"device": "my own phone"}, "device"),
        ({"session": {"id": "somebody@example.org"}}, "session.id"),
        ({"session": {f"n{place}": 1 for place in range(21)}}, "session"),
        ({"external": {"news": {}}}, "external.news"),
        ({"external": {"weather": {"rain": {}}}}, "external.weather.rain"),
    ],
)
def test_a_context_that_is_fine_grained_or_large_is_refused_by_its_field(context, field):
    with pytest.raises(ValidationError) as refused:
        a_request(context=context)
    places = {".".join(str(part) for part in fault["loc"]) for fault in refused.value.errors()}
    assert any(place.startswith(f"context.{field}") for place in places)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (exclude(), "about everything"),
        (exclude(channels=["email"], by=0.1), "must have by"),
        ({"action": "boost", "channels": ["email"]}, "must have by"),
        (boost(0.0, channels=["email"]), "must have by"),
        (boost(0.6, channels=["email"]), "less than or equal to 0.5"),
        (require(when=RAIN), "channels or variants that are required"),
        (require(channels=["email"], when={"field": "channel", "equals": "push"}), "must not ask in when"),
        (exclude(when={"field": "segment.name", "equals": "x"}), "the name of a fact"),
        (exclude(when={"field": "profil.age", "equals": 1}), "the name of a fact"),
        (exclude(when={"field": "context.external.mood.x", "equals": 1}), "the name of a fact"),
    ],
)
def test_a_rule_that_means_nothing_says_what_was_expected(rule, expected):
    with pytest.raises(ValidationError, match=expected):
        rules(rule)


def test_two_rules_with_one_id_are_refused():
    with pytest.raises(ValidationError, match="same_id is there twice"):
        BusinessRules.model_validate({"rules": [{"id": "same_id"} | exclude(channels=["email"])] * 2})


CHANNELS = st.lists(st.sampled_from(["email", "push", "sms"]), min_size=1, max_size=2, unique=True)
OPTIONS = st.fixed_dictionaries(
    {
        "channels": st.none()
        | st.lists(st.sampled_from(["email", "push", "sms"]), min_size=1, max_size=2, unique=True),
        "variants": st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2, unique=True),
    }
)
ANY_RULE = (
    OPTIONS.map(lambda given: exclude(**given))
    | OPTIONS.map(lambda given: require(**given))
    | st.builds(lambda by, given: boost(by, **given), st.sampled_from([-0.5, -0.1, 0.2, 0.5]), OPTIONS)
)


@given(st.lists(ANY_RULE, max_size=6), st.permutations(range(6)))
def test_the_order_of_rules_means_nothing_and_no_boost_passes_the_cap(given_rules, order):
    named = [{"id": f"rule_{place}"} | each for place, each in enumerate(given_rules)]
    shuffled = [named[place] for place in order if place < len(named)]

    def found(listed):
        return evaluate(BusinessRules.model_validate({"rules": listed}), 1, a_type(), {}, NOON, may_personalize=True)

    one, other = found(named), found(shuffled)
    assert (one.variants, one.boosts, one.refused) == (other.variants, other.boosts, other.refused)
    assert all(abs(by) <= MOST_BOOST for moved in one.boosts.values() for by in moved.values())
    assert {each.rule for each in one.fired} == {each.rule for each in other.fired}


def test_the_answer_names_the_version_of_the_rules():
    told = answer(decided(ruled(exclude(channels=["email"]))), Evidence("s", False, True, None, SETTINGS, 1))  # noqa: FBT003
    assert told.versions.business_rules == 7
