"""Recorded decisions under other rules: exactly what a change alters is found, in its direction and with its rule."""

from datetime import timedelta

import pytest

from domain.decision_record import Evidence, record
from domain.legal import gate, replay
from domain.legal.places import Place
from domain.legal.replay import Direction, Effect
from domain.values import Channel, MessageClass, Outcome
from tests.builders import NEW_YORK, NOON, RULES, SETTINGS, a_decision, a_law, a_situation, a_type

HOUR = timedelta(hours=1)
SMS, EMAIL = Channel.SMS, Channel.EMAIL
ON_SMS = {"channels": ["sms"], "variants": [{"id": "a", "content": {"sms": {"body": "b"}}}]}
HOURS = "tcpa.calling_hours"
FRANCE = Place((NEW_YORK,), frozenset({"FR"}), "declared", 1.0)


def with_rule(rule_id=HOURS, **changes):
    """The newest rules with one of them changed, or without it."""
    rules = [rule if rule.id != rule_id else rule.model_copy(update=changes) for rule in RULES.rules]
    kept = [rule for rule in rules if rule.id != rule_id or changes]
    return RULES.model_copy(update={"version": "next", "rules": tuple(kept)})


def hours(opens, closes):
    return with_rule(window=RULES.rule(HOURS).window.model_copy(update={"opens": opens, "closes": closes}))


def decided(now=NOON, definition=None, **situation):
    """What is kept of a decision made now, by rules."""
    draft = a_decision(situation=a_situation(now=now, definition=definition or a_type(**ON_SMS), **situation))
    evidence = Evidence("s", is_holdout=False, may_personalize=True, degraded=None, settings=SETTINGS, type_version=1)
    return replay.past(record(draft, evidence))


def differences(found):
    return [(each.channel, each.direction, each.rules) for each in found.differences]


def test_the_same_rules_alter_nothing():
    assert replay.altered(decided(), RULES, RULES) is None
    assert replay.altered(decided(NOON + 11 * HOUR), RULES, RULES) is None


def test_hours_that_begin_later_would_have_stopped_what_was_sent():
    found = replay.altered(decided(), RULES, hours(13, 21))
    assert (found.outcome, found.effect) == (Outcome.SEND_NOW, Effect.NOT_SENT)
    assert differences(found) == [(SMS, Direction.CLOSED, (HOURS,))]
    assert replay.altered(decided(), RULES, hours(12, 21)) is None


def test_hours_that_end_later_might_have_let_it_go():
    late = decided(NOON + 10 * HOUR)
    assert late.reason == "law.hours_closed"
    found = replay.altered(late, RULES, hours(8, 23))
    assert (found.effect, differences(found)) == (Effect.MIGHT_BE_SENT, [(SMS, Direction.OPENED, (HOURS,))])


def test_hours_that_stay_closed_and_open_at_another_time_move_a_deferral():
    found = replay.altered(decided(NOON + 10 * HOUR), RULES, hours(9, 21))
    assert (found.effect, differences(found)) == (Effect.OTHER_TIME, [(SMS, Direction.MOVED, (HOURS,))])


def test_a_rule_of_another_place_alters_nothing():
    assert replay.altered(decided(place=FRANCE), RULES, hours(13, 21)) is None


def test_a_rule_taken_back_is_named():
    found = replay.altered(decided(NOON + 10 * HOUR), RULES, with_rule())
    assert differences(found) == [(SMS, Direction.OPENED, (HOURS,))]


def test_a_lower_cap_on_complaints_would_have_stopped_mail():
    rule = RULES.rule("mailbox.complaint_stop")
    strict = with_rule(rule.id, cap=rule.cap.model_copy(update={"limit": 0.001}))
    found = replay.altered(decided(complaint_share=0.002, definition=a_type(channels=["email"])), RULES, strict)
    assert (found.effect, differences(found)) == (Effect.NOT_SENT, [(EMAIL, Direction.CLOSED, (rule.id,))])


def test_a_rule_about_open_tracking_changes_the_use_of_opens_only():
    mail = decided(place=FRANCE, definition=a_type(channels=["email"]))
    found = replay.altered(mail, RULES, with_rule("cnil.open_tracking"))
    assert found.effect is Effect.OPENS
    assert differences(found) == [(EMAIL, Direction.TRACKING_OPENED, ("cnil.open_tracking",))]
    (back,) = replay.altered(mail, with_rule("cnil.open_tracking"), RULES).differences
    assert back.direction is Direction.TRACKING_CLOSED


def test_a_record_from_before_the_facts_were_kept_is_not_guessed_about():
    assert replay.past({"decision_id": "d"}) is None


@pytest.mark.parametrize("share", [None, 0.0029, 0.003])
@pytest.mark.parametrize("hour", range(24))
@pytest.mark.parametrize("channel", [EMAIL, SMS])
def test_the_rules_that_are_named_and_the_gate_agree(share, hour, channel):
    facts, asked = a_law(complaint_share=share), {"message_class": MessageClass.MARKETING, "channel": channel}
    now = NOON + hour * HOUR
    assert bool(gate.breaches(facts, **asked, now=now)) == (gate.refusal(facts, **asked, now=now) is not None)
