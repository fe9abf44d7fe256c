"""One decision, in pure steps: what is chosen, what waits, what a late refusal does, and that a record repeats it."""

import json
import math
from collections import Counter
from datetime import timedelta

import pytest

from domain import decision_replay, decisioning
from domain.consent import ConsentStatus
from domain.contact_budget import DEFAULT, Contact, Spent
from domain.decision_record import Evidence, answer, record
from domain.expected import Activity
from domain.preference_gate import Choices, LastSent
from domain.preference_scopes import Scope
from domain.profiles import Profile, Reachability, ZoneClaim, ZoneSource
from domain.switches import ChannelSwitch
from domain.templates import CannotRender
from domain.values import Channel, Outcome, Purpose, Reason
from tests.builders import (
    NEW_YORK,
    NOON,
    RULES,
    SETTINGS,
    a_consent,
    a_decision,
    a_preference,
    a_request,
    a_situation,
    a_type,
    all_consents,
    an_expectation,
)
from tests.thorough import examples

EMAIL, PUSH = Channel.EMAIL, Channel.PUSH
SCORES = {EMAIL: 0.03, PUSH: 0.01}
NIGHT = NOON + timedelta(hours=12)
MORNING = NOON + timedelta(hours=20)


def decide(request=None, situation=None, p_convert=SCORES, *, activity=None, **fields):
    return a_decision(request, situation, an_expectation(p_convert, activity=activity), **fields)


def evidence(**fields) -> Evidence:
    given = {"subject_key": "s", "is_holdout": False, "may_personalize": True, "degraded": None}
    return Evidence(**(given | {"settings": SETTINGS, "type_version": 1} | fields))


def test_sending_nothing_is_among_the_actions_of_marketing_and_only_there():
    assert [option.channel for option in decide().choice.stages[0].options] == [None, EMAIL, PUSH]
    for message_class in ("service", "transactional"):
        draft = decide(situation=a_situation(definition=a_type(**{"class": message_class})))
        assert all(option.is_send for option in draft.choice.stages[0].options)
        assert draft.outcome is Outcome.SEND_NOW


def test_the_chances_follow_the_value_of_each_action():
    values = [0.0, 0.01, -0.01]
    weights = [math.exp(value / 0.02) for value in values]
    expected = [0.9 * weight / sum(weights) + 0.1 / 3 for weight in weights]
    assert decide().choice.stages[0].probabilities == pytest.approx(expected, abs=1e-12)


def test_the_chance_recorded_is_how_often_it_happens():
    drafts = [decide(decision_id=f"d-{i}") for i in range(examples(20_000, 1_500))]
    drawn = Counter(draft.action for draft in drafts)
    chances = {draft.action: draft.probability for draft in drafts}
    assert len(chances) == 5
    assert math.isclose(sum(chances.values()), 1, abs_tol=1e-12)
    for action, chance in chances.items():
        assert abs(drawn[action] / len(drafts) - chance) < 5 * math.sqrt(chance * (1 - chance) / len(drafts))


def test_the_holdout_gives_every_action_the_same_chance_with_a_model_and_without():
    for p_convert in (SCORES, None):
        drafts = [decide(p_convert=p_convert, is_holdout=True, decision_id=f"d-{i}") for i in range(50)]
        assert {draft.probability for draft in drafts} == {0.2}
        assert {stage.policy for draft in drafts for stage in draft.choice.stages} == {"uniform_v1"}


def test_reasons_say_how_it_was_chosen():
    found = {decide(decision_id=f"d-{i}").reason for i in range(50)}
    assert found == {Reason.POLICY_SAMPLED, Reason.POLICY_NO_SEND}
    assert decide(p_convert=None).reason is Reason.POLICY_RULES
    only = a_type(**{"class": "transactional", "channels": ["push"], "variants": [a_variant()]})
    single = decide(situation=a_situation(definition=only))
    assert (single.reason, single.probability) == (Reason.POLICY_SINGLE, 1.0)


def a_variant(**fields):
    return {"id": "a", "content": {"push": {"body": "b"}}} | fields


def test_at_night_it_waits_with_certainty_and_draws_nothing():
    draft = decide(situation=a_situation(now=NIGHT))
    assert (draft.outcome, draft.reason, draft.send_at) == (Outcome.DEFER, Reason.QUIET_HOURS_NOW, MORNING)
    assert (draft.choice, draft.probability) == (None, 1.0)


def test_it_does_not_wait_beyond_its_expiry():
    draft = decide(a_request(message={"expires_at": MORNING.isoformat()}), a_situation(now=NIGHT))
    assert (draft.outcome, draft.reason) == (Outcome.SUPPRESS, Reason.EXPIRY_BEFORE_OPENING)
    later = a_request(message={"expires_at": (MORNING + timedelta(microseconds=1)).isoformat()})
    assert decide(later, a_situation(now=NIGHT)).outcome is Outcome.DEFER


def test_without_consent_it_does_not_wait_either():
    draft = decide(situation=a_situation(now=NIGHT, allowances={"consents": ()}))
    assert (draft.outcome, draft.reason) == (Outcome.SUPPRESS, Reason.CONSENT_MISSING)


def test_the_most_binding_refusal_is_told_for_the_whole():
    unreachable = Profile(channels={EMAIL: Reachability(reachable=False)})
    switched = (ChannelSwitch(channel=EMAIL, is_on=False),)
    withdrawn = (*all_consents(), a_consent(ConsentStatus.WITHDRAWN, channel="push"))
    situation = a_situation(profile=unreachable, allowances={"switches": switched, "consents": withdrawn})
    assert decide(situation=situation).reason is Reason.CONSENT_WITHDRAWN


@pytest.mark.parametrize("reason", [each for each in Reason if each.is_refusal])
def test_every_refusal_can_be_the_one_that_is_told(reason):
    other = Reason.BUDGET_CAPACITY
    if not reason.value.startswith("handover."):
        assert decisioning._leading([other, reason]) in {other, reason}


def a_send(**fields):
    """A decision to send by e-mail."""
    drafts = (decide(decision_id=f"d-{i}", **fields) for i in range(200))
    return next(draft for draft in drafts if draft.action.channel is EMAIL)


WITHDRAWN = {
    Purpose.MARKETING: (a_consent(ConsentStatus.WITHDRAWN), all_consents()[1]),
    Purpose.PERSONALIZATION: (
        all_consents()[0],
        a_consent(ConsentStatus.WITHDRAWN, purpose=Purpose.PERSONALIZATION),
    ),
}


@pytest.mark.parametrize("purpose", WITHDRAWN)
def test_a_late_refusal_makes_it_certain_that_nothing_is_sent(purpose):
    draft = a_send()
    final = decisioning.recheck(draft, a_situation(allowances={"consents": WITHDRAWN[purpose], "version": 2}))
    assert (final.outcome, final.reason) == (Outcome.SUPPRESS, Reason.CONSENT_WITHDRAWN)
    assert (final.probability, final.action.is_send, final.rendered) == (1.0, False, None)
    assert final.choice == draft.choice
    kept = record(final, evidence())
    assert (kept["channel"], kept["overridden"], kept["content"]) == (None, "consent.withdrawn", None)
    assert kept["consent_version"] == 2


def test_rules_do_not_mind_a_withdrawn_personalization():
    draft = a_send(p_convert=None)
    situation = a_situation(allowances={"consents": WITHDRAWN[Purpose.PERSONALIZATION]})
    assert decisioning.recheck(draft, situation).outcome is Outcome.SEND_NOW


def test_a_late_refusal_of_another_channel_only_takes_it_from_the_fallbacks():
    draft = a_send()
    assert answer(draft, evidence()).fallback_channels == (PUSH,)
    switched = a_situation(allowances={"switches": (ChannelSwitch(channel=PUSH, is_on=False),)})
    final = decisioning.recheck(draft, switched)
    assert final.outcome is Outcome.SEND_NOW
    assert answer(final, evidence()).fallback_channels == ()


def test_a_late_permission_opens_nothing():
    draft = decide(situation=a_situation(allowances={"consents": ()}))
    assert decisioning.recheck(draft, a_situation()).outcome is Outcome.SUPPRESS


WEEK = Activity(source="test", log_rates=tuple(math.sin(hour / 3) for hour in range(168)))
CASES = {
    "a draw": {},
    "a chosen hour": {"request": a_request(message={"urgency": "flexible"}), "activity": WEEK},
    "a chosen hour after the night": {
        "request": a_request(message={"urgency": "within_day"}),
        "activity": WEEK,
        "situation": a_situation(now=NIGHT),
    },
    "rules": {"p_convert": None},
    "a hold-out": {"is_holdout": True},
    "a deferral": {"situation": a_situation(now=NIGHT)},
    "everything known": {
        "situation": a_situation(
            profile=Profile(country="US", channels={PUSH: Reachability(reachable=False)}),
            tenant_zone=NEW_YORK,
            allowances={
                "paused": frozenset({"sms"}),
                "choices": Choices(
                    preferences=(
                        a_preference(scope=Scope(channel=EMAIL), frequency="hourly", settings={"tone": "calm"}),
                    ),
                    template=(a_preference(scope=Scope(category="news"), enabled=True),),
                    template_name="calm",
                    defaults=(a_preference(enabled=True),),
                    sent=(LastSent(channel=EMAIL, category="news", content_type="news", at=NOON - timedelta(days=1)),),
                ),
                "budget": DEFAULT,
                "spent": Spent((Contact(channel=EMAIL, at=NOON - timedelta(minutes=9)),), {"email_minute": 7}, NOON),
            },
        )
    },
    "a refusal": {"situation": a_situation(allowances={"consents": (a_consent(ConsentStatus.REFUSED),)})},
    "a narrowed one": {
        "request": a_request(channels=["push"], message={"expires_at": MORNING.isoformat()}),
        "situation": a_situation(
            profile=Profile(time_zone=ZoneClaim(name=str(NEW_YORK), source=ZoneSource.DECLARED)),
            allowances={"switches": (ChannelSwitch(channel=EMAIL, is_on=False),)},
        ),
    },
}


@pytest.mark.parametrize("case", CASES)
def test_the_record_alone_repeats_the_decision_byte_for_byte(case):
    given = CASES[case]
    draft = decide(**given)
    kept = stored(decisioning.recheck(draft, draft.situation), given)
    assert decision_replay.differences(decision_replay.past(kept, draft.situation.definition, RULES)) == ()


def stored(draft, given):
    return json.loads(json.dumps(record(draft, evidence(is_holdout=given.get("is_holdout", False)))))


@pytest.mark.parametrize("purpose", WITHDRAWN)
def test_a_late_refusal_is_replayed_too(purpose):
    late = a_situation(allowances={"consents": WITHDRAWN[purpose], "version": 2})
    kept = stored(decisioning.recheck(a_send(), late), {})
    decision = decision_replay.past(kept, late.definition, RULES)
    assert decision_replay.differences(decision) == ()
    assert decision_replay.again(decision).overridden is Reason.CONSENT_WITHDRAWN


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("stages", 0, "probabilities", 0), 0.1234),
        (("action_probability",), 0.5),
        (("expected", "channels", "email", "p_convert"), 0.031),
        (("policy_settings", "epsilon"), 0.11),
        (("decision_id",), "another"),
        (("quiet_hours", "start"), 11),
        (("allowances", "consents"), []),
    ],
)
def test_a_record_that_was_altered_is_found_out(path, value):
    draft = a_send()
    kept = stored(decisioning.recheck(draft, draft.situation), {})
    holder = kept
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    assert decision_replay.differences(decision_replay.past(kept, draft.situation.definition, RULES)) != ()


def test_a_record_from_before_replays_says_so():
    kept = stored(a_send(), {})
    del kept["tenant_zone"]
    with pytest.raises(decision_replay.NotReplayable, match="before records held"):
        decision_replay.past(kept, a_type(), RULES)


LONG = {"id": "long", "content": {"push": {"body": "act now " * 20}}}
CALM = {"id": "calm", "content": {"push": {"body": "calm"}}}
BROKEN = {"id": "broken", "content": {"push": {"body": "{{ x | number }}"}}}


def of_quality(*variants, **fields):
    x = {"type": "object", "properties": {"x": {"type": "string", "default": "no number"}}}
    return a_situation(definition=a_type(channels=["push"], variants=list(variants), variables=x, **fields))


def pushed(situation):
    """Decisions that send, by the variant that was drawn."""
    drafts = (decide(situation=situation, p_convert={PUSH: 0.5}, decision_id=f"d-{i}") for i in range(40))
    return {draft.choice.action.variant_id: draft for draft in drafts if draft.action.is_send}


def test_below_its_quality_the_default_variant_answers_and_nothing_is_to_be_learnt_from_it():
    situation = of_quality(LONG, CALM, default_variant="calm", quality_threshold=0.9)
    sent = pushed(situation)
    replaced, calm = sent["long"], sent["calm"]
    assert (replaced.action.variant_id, replaced.rendered.body, replaced.probability) == ("calm", "calm", 1.0)
    assert (replaced.reason, replaced.quality.score) == (Reason.POLICY_DEFAULT_VARIANT, 0.8)
    assert (calm.reason, calm.quality.score, calm.replaced_by) == (Reason.POLICY_SAMPLED, 1.0, None)
    assert calm.probability < 1
    told = answer(replaced, evidence())
    assert (told.variant_id, told.quality, told.action_probability) == ("calm", 0.8, 1.0)
    kept = stored(decisioning.recheck(replaced, situation), {})
    assert (kept["variant_id"], kept["replaced"]) == ("calm", "long")
    assert decision_replay.differences(decision_replay.past(kept, situation.definition, RULES)) == ()


def test_a_lower_threshold_leaves_what_was_drawn():
    sent = pushed(of_quality(LONG, CALM, default_variant="calm", quality_threshold=0.7))
    assert sent["long"].action.variant_id == "long"


def test_what_cannot_be_filled_falls_back_too_and_without_a_default_is_refused():
    sent = pushed(of_quality(BROKEN, CALM, default_variant="calm"))
    assert (sent["broken"].action.variant_id, sent["broken"].quality) == ("calm", None)
    with pytest.raises(CannotRender, match="the body cannot be filled"):
        pushed(of_quality(BROKEN, CALM))


@pytest.mark.parametrize("fields", [{"default_variant": "none"}, {"quality_threshold": 0.5}])
def test_a_threshold_needs_a_default_that_there_is(fields):
    with pytest.raises(ValueError, match="default_variant"):
        a_type(**fields)
