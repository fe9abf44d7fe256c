"""The stages of a choice: a channel by its value, a variant by its policy, an hour among those allowed."""

import math
from collections import Counter
from datetime import timedelta

import pytest

from domain import timing
from domain.decision_record import Evidence, answer
from domain.decisioning import recheck
from domain.expected import Activity, ChannelTerms, Expected, VariantScores, Weights
from domain.policy import PolicyName, StageName
from domain.switches import ChannelSwitch
from domain.values import Channel, Outcome, Reason
from tests.builders import NEW_YORK, NOON, SETTINGS, a_decision, a_request, a_situation, a_type, an_expectation

EMAIL, PUSH, HOUR = Channel.EMAIL, Channel.PUSH, timedelta(hours=1)
EVENING = Activity(source="test", log_rates=tuple(2.0 if hour % 24 == 19 else 0.0 for hour in range(168)))
SCORES = {EMAIL: 0.5, PUSH: 0.01}


def drafts(n=200, *, p_convert=SCORES, situation=None, is_holdout=False, activity=EVENING, **message):
    request = a_request(message=message)
    told = an_expectation(p_convert, activity=activity)
    return [a_decision(request, situation, told, decision_id=f"d-{i}", is_holdout=is_holdout) for i in range(n)]


def test_the_value_is_the_sum_of_its_four_terms_and_the_price_comes_on_top():
    terms = ChannelTerms(
        p_open=0.2, p_active=0.25, p_convert=0.1, p_opt_out=0.01, channel_value=2.0, cost=0.003, price=0.004
    )
    weights = Weights(visit=0.5, conversion=1.5)
    assert terms.terms(weights) == pytest.approx({"visit": 0.075, "conversion": 0.15, "opt_out": -0.02, "cost": -0.003})
    assert terms.value(weights) == pytest.approx(0.202)
    assert terms.net(weights) == pytest.approx(0.198)


def test_a_price_above_the_value_makes_sending_nothing_likelier():
    def p_nothing(price):
        channels = {EMAIL: ChannelTerms(p_convert=0.05, price=price), PUSH: ChannelTerms(p_convert=0.05, price=price)}
        return a_decision(expected=Expected(channels=channels)).choice.stages[0].probabilities[0]

    assert p_nothing(0.0) < 1 / 3 < p_nothing(0.2)


def test_an_opt_out_that_is_likely_costs_a_channel_its_chance():
    def p_email(p_opt_out):
        terms = ChannelTerms(p_convert=0.05, p_opt_out=p_opt_out, channel_value=1.0)
        channels = {EMAIL: terms, PUSH: ChannelTerms(p_convert=0.05)}
        return a_decision(expected=Expected(channels=channels)).choice.stages[0].probabilities[1]

    assert p_email(0.05) < p_email(0.001)


def test_a_variant_is_drawn_with_the_chances_its_policy_gave():
    scores = VariantScores(policy=PolicyName.INVERSE_GAP, arms=("a", "b"), probabilities=(0.8, 0.2))
    told = an_expectation(SCORES, variants={EMAIL: scores})
    found = [a_decision(expected=told, decision_id=f"d-{i}").choice.stage(StageName.VARIANT) for i in range(2_000)]
    by_email = [stage for stage in found if stage is not None and stage.action.channel is EMAIL]
    assert {stage.policy for stage in by_email} == {PolicyName.INVERSE_GAP}
    share = sum(stage.action.variant_id == "a" for stage in by_email) / len(by_email)
    assert abs(share - 0.8) < 5 * math.sqrt(0.16 / len(by_email))


def test_only_patient_messages_choose_their_hour():
    for urgency, chooses in {None: False, "immediate": False, "within_hour": False, "within_day": True}.items():
        slots = [draft.choice.stage(StageName.SLOT) for draft in drafts(20, urgency=urgency)]
        assert any(slots) is chooses


def test_the_hour_is_drawn_among_those_allowed_and_the_active_one_is_likeliest():
    sends = [draft for draft in drafts(urgency="within_day") if draft.action.is_send]
    stage = sends[0].choice.stage(StageName.SLOT)
    moments = [option.slot or NOON for option in stage.options]
    # Noon to nine in the evening, and from eight on the next day until it is noon again.
    assert [at.astimezone(NEW_YORK).hour for at in moments] == [*range(12, 21), *range(8, 12)]
    likeliest = moments[stage.probabilities.index(max(stage.probabilities))]
    assert likeliest.astimezone(NEW_YORK).hour == 19
    assert min(stage.probabilities) >= SETTINGS.slot_epsilon / len(moments)
    assert {draft.outcome for draft in sends} == {Outcome.SEND_NOW, Outcome.DEFER}


def test_a_later_hour_is_a_deferral_with_its_channel_and_no_content_yet():
    later = next(draft for draft in drafts(urgency="within_day") if draft.action.slot is not None)
    told = answer(later, Evidence("s", False, True, None, SETTINGS, 1))  # noqa: FBT003 - is_holdout, may_personalize
    assert (later.outcome, later.reason) == (Outcome.DEFER, Reason.POLICY_SLOT)
    assert (told.channel, told.variant_id, told.content) == (later.action.channel, later.action.variant_id, None)
    assert told.send_at == later.action.slot > NOON
    assert told.action_probability == math.prod(stage.probability for stage in later.choice.stages)


def test_the_holdout_draws_its_hour_evenly():
    draft = next(each for each in drafts(urgency="within_day", is_holdout=True) if each.action.is_send)
    stage = draft.choice.stage(StageName.SLOT)
    assert stage.policy is PolicyName.UNIFORM
    assert set(stage.probabilities) == {1 / len(stage.options)}


def test_a_message_held_back_at_night_chooses_among_the_hours_after_it():
    night = a_situation(now=NOON + 12 * HOUR)
    found = drafts(100, situation=night, urgency="within_day")
    assert {draft.outcome for draft in found} == {Outcome.DEFER}
    assert {draft.reason for draft in found} == {Reason.QUIET_HOURS_NOW}
    assert min(draft.send_at for draft in found) >= NOON + 20 * HOUR
    assert len({draft.send_at for draft in found}) > 3
    assert {draft.probability for draft in found} <= set(found[0].choice.stages[0].probabilities)


def test_without_patience_it_leaves_at_the_first_opening():
    (draft,) = drafts(1, situation=a_situation(now=NOON + 12 * HOUR))
    assert (draft.send_at, draft.choice) == (NOON + 20 * HOUR, None)


def test_no_hour_is_chosen_after_the_deadline():
    until = NOON + 3 * HOUR
    found = drafts(100, urgency="flexible", expires_at=until.isoformat())
    assert max(draft.send_at for draft in found if draft.send_at is not None) < until


@pytest.mark.parametrize(
    ("window", "outcome", "reason", "send_at"),
    [
        ({"from": NOON + HOUR}, Outcome.DEFER, Reason.WINDOW_NOT_OPEN, NOON + HOUR),
        ({"from": NOON + 11 * HOUR}, Outcome.DEFER, Reason.WINDOW_NOT_OPEN, NOON + 20 * HOUR),
        ({"from": NOON + 11 * HOUR, "until": NOON + 12 * HOUR}, Outcome.SUPPRESS, Reason.EXPIRY_BEFORE_OPENING, None),
        ({"until": NOON}, Outcome.SUPPRESS, Reason.WINDOW_PASSED, None),
        ({"until": NOON + HOUR}, Outcome.SEND_NOW, Reason.POLICY_RULES, None),
    ],
)
def test_the_delivery_window_only_narrows(window, outcome, reason, send_at):
    draft = a_decision(a_request(delivery_window={name: at.isoformat() for name, at in window.items()}))
    assert (draft.outcome, draft.reason, draft.send_at) == (outcome, reason, send_at)


def test_a_late_refusal_at_the_chosen_hour_takes_the_deferral_away():
    later = next(draft for draft in drafts(urgency="within_day") if draft.action.slot and draft.action.channel is EMAIL)
    switched = a_situation(allowances={"switches": (ChannelSwitch(channel=EMAIL, is_on=False),)})
    final = recheck(later, switched)
    assert (final.outcome, final.overridden, final.send_at) == (Outcome.SUPPRESS, Reason.CHANNEL_SWITCHED_OFF, None)


def test_other_channels_are_tried_in_order_of_their_value():
    content = {name: {"body": "b"} for name in ("email", "push", "sms")}
    definition = a_type(
        **{"class": "service", "channels": ["push", "sms", "email"], "variants": [{"id": "a", "content": content}]}
    )
    situation = a_situation(definition=definition)
    scores = {EMAIL: 0.9, PUSH: 0.1, Channel.SMS: 0.5}
    draft = a_decision(situation=situation, expected=an_expectation(scores))
    told = answer(draft, Evidence("s", False, True, None, SETTINGS, 1))  # noqa: FBT003 - is_holdout, may_personalize
    expected = [each for each in (EMAIL, Channel.SMS, PUSH) if each is not told.channel]
    assert list(told.fallback_channels) == expected


def test_a_week_of_hours_is_every_hour_of_the_week_once():
    hours = list(timing.hour_starts(NOON, NOON + timedelta(days=30), zone=NEW_YORK))
    counted = Counter((at.astimezone(NEW_YORK).weekday(), at.astimezone(NEW_YORK).hour) for at in hours)
    # The clock goes forward on the Sunday in between: one hour is left out, and the last one comes early.
    assert len(hours) == 168
    assert max(counted.values()) == 2
    assert (6, 2) not in counted
