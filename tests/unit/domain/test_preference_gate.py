"""The preference gate: what it holds back, until when, and for which class of message."""

from datetime import timedelta

import pytest

from domain.gates import Allowances, opening, screen
from domain.preference_gate import Choices, LastSent
from domain.preference_scopes import Scope
from domain.preferences import Preference
from domain.values import Channel, Outcome, Reason
from tests.builders import NOON, a_decision, a_preference, a_request, a_situation, a_type, all_consents

EMAIL = Channel.EMAIL
AFTERNOONS = {"monday": [{"start": "15:00", "end": "16:00"}], "tuesday": [{"start": "06:00", "end": "09:00"}]}


def a_choice(*preferences: Preference, defaults=(), sent=(), **fields):
    choices = Choices(preferences, defaults, sent)
    return a_situation(allowances=Allowances(version=1, consents=all_consents(), choices=choices), **fields)


def reasons(situation, **request) -> dict[Channel, Reason]:
    return {each.channel: each.reason for each in screen(a_request(**request), situation).refusals}


def sent(hours_ago: float, **fields) -> LastSent:
    given = {"channel": EMAIL, "category": "news", "content_type": "news", "at": NOON - timedelta(hours=hours_ago)}
    return LastSent(**(given | fields))


@pytest.mark.parametrize("value", [{"enabled": False}, {"frequency": "never"}, {"windows": {}}])
def test_what_was_switched_off_is_refused_for_good_and_the_preference_is_named(value):
    off = a_preference(scope=Scope(channel="email"), **value)
    (refusal,) = screen(a_request(), a_choice(off)).refusals
    assert (refusal.channel, refusal.reason, refusal.rule) == (EMAIL, Reason.PREFERENCE_OFF, off.preference_id)


def test_a_tenants_default_holds_where_the_recipient_said_nothing():
    off, on = a_preference(enabled=False), a_preference(scope=Scope(channel="email"), enabled=True)
    assert set(reasons(a_choice(defaults=(off,)))) == {EMAIL, Channel.PUSH}
    assert set(reasons(a_choice(on, defaults=(off,)))) == {Channel.PUSH}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [(Scope(), {EMAIL, Channel.PUSH}), (Scope(channel="email"), {EMAIL}), (Scope(category="news"), set())],
)
def test_a_service_message_meets_only_what_is_said_about_a_whole_channel(scope, expected):
    situation = a_choice(a_preference(scope=scope, enabled=False), definition=a_type(**{"class": "service"}))
    assert set(reasons(situation)) == expected


@pytest.mark.parametrize("fields", [{"class": "transactional"}, {"is_emergency": True}])
def test_transactional_and_emergency_messages_are_not_asked_about(fields):
    assert reasons(a_choice(a_preference(enabled=False), definition=a_type(**fields))) == {}


def test_a_preference_is_no_consent():
    on = Allowances(version=1, choices=Choices((a_preference(enabled=True),)))
    assert set(reasons(a_situation(allowances=on)).values()) == {Reason.CONSENT_MISSING}


def test_outside_the_windows_a_message_waits_for_the_next_that_is_not_quiet():
    situation = a_choice(a_preference(windows=AFTERNOONS))
    assert set(reasons(situation).values()) == {Reason.PREFERENCE_OUTSIDE_WINDOW}
    assert opening(a_request(), situation, EMAIL) == NOON + timedelta(hours=3)
    # On Tuesday the window opens at six, quiet hours end at eight.
    late = a_choice(a_preference(windows=AFTERNOONS), now=NOON + timedelta(hours=5))
    assert opening(a_request(), late, EMAIL) == NOON + timedelta(hours=20)


def test_a_window_within_quiet_hours_never_opens():
    nights = {"monday": [{"start": "23:00", "end": "23:30"}]}
    situation = a_choice(a_preference(windows=nights))
    draft = a_decision(situation=situation)
    assert (draft.outcome, draft.reason) == (Outcome.SUPPRESS, Reason.PREFERENCE_OUTSIDE_WINDOW)


@pytest.mark.parametrize(("frequency", "hours"), [("hourly", 1), ("daily", 24), ("weekly", 168), ("monthly", 720)])
def test_how_often_counts_from_the_last_message_and_the_end_of_the_period_is_free(frequency, hours):
    weekly = a_preference(scope=Scope(category="news"), frequency=frequency)
    assert reasons(a_choice(weekly, sent=(sent(hours),))) == {}
    soon = a_choice(weekly, sent=(sent(hours - 0.1), sent(10 * hours)))
    assert set(reasons(soon).values()) == {Reason.PREFERENCE_FREQUENCY}


def test_a_message_that_was_asked_for_later_and_recorded_first_counts():
    assert set(reasons(a_choice(a_preference(frequency="daily"), sent=(sent(-0.001),)))) == {EMAIL, Channel.PUSH}


def test_what_another_scope_is_about_does_not_count():
    daily = a_preference(scope=Scope(channel="email", category="news"), frequency="daily")
    assert reasons(a_choice(daily, sent=(sent(1, category="offers"), sent(1, channel=Channel.PUSH)))) == {}


def test_a_message_that_comes_too_soon_is_deferred_to_the_end_of_the_period():
    situation = a_choice(a_preference(frequency="hourly"), sent=(sent(0.5), sent(0.75, channel=Channel.PUSH)))
    draft = a_decision(situation=situation)
    assert (draft.outcome, draft.reason) == (Outcome.DEFER, Reason.PREFERENCE_FREQUENCY)
    assert draft.send_at == NOON + timedelta(minutes=30)


def test_urgency_and_time_of_day_can_be_circumstances():
    calm = a_preference(scope=Scope(context={"urgency": "flexible"}), enabled=False)
    assert reasons(a_choice(calm), message={"urgency": "immediate"}) == {}
    assert set(reasons(a_choice(calm), message={"urgency": "flexible"})) == {EMAIL, Channel.PUSH}
    afternoons = a_preference(scope=Scope(context={"time": "afternoon"}), enabled=False)
    assert set(reasons(a_choice(afternoons))) == {EMAIL, Channel.PUSH}
