"""Advice on preferences: posteriors that shrink, nothing without evidence, nothing that lifts a denial."""

from dataclasses import replace
from datetime import timedelta

import pytest
from scipy.stats import beta

from domain.preference_advice import SOURCE, Basis, Kind, accepted
from domain.preference_gate import Choices
from domain.preference_scopes import Scope
from domain.preferences import Frequency, Preference, PreferenceValue
from domain.values import Channel, Reason
from models.preference_advice import advise, score, spec
from models.preference_advice.score import Message
from tests.builders import NOON


def sent(channel, count, answered, *, category="news", first_week=0, a_week=3):
    """So many messages, some a week, of which the first of each few were answered."""
    step = count / answered if answered else count + 1
    hits = {round(step * place) for place in range(answered)}
    return [
        Message(channel, category, first_week + place // a_week, place in hits, opted_out=False)
        for place in range(count)
    ]


EMAIL_ANSWERED = sent("email", 60, 40) + sent("push", 60, 0)


def test_a_posterior_is_the_beta_of_prior_and_counts():
    found = score.posterior(3, 30, 0.1)
    believed = beta(20 * 0.1 + 3, 20 * 0.9 + 27)
    assert found.mean == pytest.approx(believed.mean())
    assert (found.low, found.high) == pytest.approx(believed.ppf([0.05, 0.95]))
    with pytest.raises(ValueError, match="answered"):
        score.posterior(31, 30, 0.1)


def test_what_is_known_of_little_is_told_as_what_is_known_of_the_rest():
    messages = sent("email", 60, 30) + sent("email", 1, 0, category="rare")
    rare = score.by_category(messages)["rare"]
    assert rare.mean == pytest.approx(20 * score.overall(messages).mean / 21)
    assert not rare.is_enough


def test_a_channel_that_is_answered_much_less_is_suggested_to_be_muted_with_its_counts():
    found = advise.advise(EMAIL_ANSWERED, Choices(), (), NOON)
    [each] = [each for each in found.recommendations if each.kind is Kind.CHANNEL]
    assert (each.scope, each.value) == (Scope(channel=Channel.PUSH), PreferenceValue(enabled=False))
    assert (each.worse.messages, each.worse.answered, each.better.messages) == (60, 0, 60)
    assert each.worse.high < spec.MUCH_LESS * each.better.low
    assert (found.until - found.since, found.messages) == (timedelta(days=180), 120)


def test_few_messages_are_not_enough_and_answers_alike_suggest_nothing():
    few = advise.advise(EMAIL_ANSWERED[: spec.FEWEST_MESSAGES - 1], Choices(), (), NOON)
    assert (few.basis, few.recommendations) == (Basis.NOT_ENOUGH_DATA, ())
    assert set(few.kinds.values()) == {Basis.NOT_ENOUGH_DATA}
    alike = advise.advise(sent("email", 60, 20) + sent("push", 60, 20), Choices(), (), NOON)
    assert alike.kinds[Kind.CHANNEL] is Basis.NOTHING_BETTER


def test_who_refused_profiling_gets_the_reason_and_nothing_else():
    found = advise.refused(Reason.CONSENT_MISSING, NOON)
    assert (found.basis, found.refusal, found.messages) == (Basis.NO_PROFILING, Reason.CONSENT_MISSING, 0)
    assert found.evidence == {}


def test_a_category_that_is_not_answered_is_suggested_to_be_muted():
    messages = sent("email", 60, 40) + sent("email", 60, 0, category="offers")
    found = advise.advise(messages, Choices(), (), NOON)
    [each] = [each for each in found.recommendations if each.kind is Kind.CATEGORY]
    assert each.scope == Scope(category="offers")


BUSY = sent("email", 56, 1, first_week=0, a_week=7) + sent("email", 24, 20, first_week=8, a_week=1)
"""Eight weeks of seven messages that were hardly answered, and 24 weeks of one that nearly all were."""


def test_a_volume_at_which_more_is_answered_is_suggested():
    found = score.volume(BUSY)
    assert (found.best, found.is_better) == (1, True)
    each = advise.advise(BUSY, Choices(), (), NOON).recommendations[-1]
    assert (each.kind, each.value.frequency) == (Kind.FREQUENCY, Frequency.WEEKLY)
    assert each.better.weekly_utility > each.worse.weekly_utility


def never(**scope):
    return Preference(scope=Scope(**scope), value=PreferenceValue(frequency=Frequency.NEVER))


@pytest.mark.parametrize("choices", [Choices(defaults=(never(),)), Choices(template=(never(category="news"),))])
def test_a_frequency_that_would_lift_a_denial_of_template_or_tenant_is_not_suggested(choices):
    found = advise.advise(BUSY, choices, (), NOON)
    assert found.kinds[Kind.FREQUENCY] is Basis.DENIED
    assert Kind.FREQUENCY not in {each.kind for each in found.recommendations}


def test_what_the_recipient_denied_is_never_suggested_otherwise():
    found = advise.advise(BUSY, Choices(preferences=(never(),)), (), NOON)
    assert found.kinds[Kind.FREQUENCY] is Basis.DENIED
    muted = Preference(scope=Scope(channel=Channel.PUSH), value=PreferenceValue(enabled=False))
    found = advise.advise(EMAIL_ANSWERED, Choices(preferences=(muted,)), (), NOON)
    assert found.kinds[Kind.CHANNEL] is Basis.NOTHING_BETTER


def test_a_stricter_limit_of_somebody_else_stands():
    monthly = Preference(value=PreferenceValue(frequency=Frequency.MONTHLY))
    found = advise.advise(BUSY, Choices(defaults=(monthly,)), (), NOON)
    assert found.kinds[Kind.FREQUENCY] is Basis.NOTHING_BETTER


def test_what_was_answered_is_silent():
    [each] = advise.advise(EMAIL_ANSWERED, Choices(), (), NOON).recommendations
    found = advise.advise(EMAIL_ANSWERED, Choices(), (each.recommendation_id,), NOON)
    assert (found.recommendations, found.basis) == ((), Basis.ANSWERED)


def test_accepting_keeps_what_else_was_said_for_the_scope():
    [each] = advise.advise(EMAIL_ANSWERED, Choices(), (), NOON).recommendations
    mine = Preference(scope=each.scope, value=PreferenceValue(frequency=Frequency.DAILY), priority=3)
    made = accepted(each, Choices(preferences=(mine,)), NOON)
    assert made.value == PreferenceValue(enabled=False, frequency=Frequency.DAILY)
    assert (made.priority, made.source) == (3, SOURCE)


def test_the_order_of_messages_does_not_matter():
    shuffled = [*reversed(EMAIL_ANSWERED[:50]), *EMAIL_ANSWERED[50:]]
    one, other = (advise.advise(each, Choices(), (), NOON) for each in (EMAIL_ANSWERED, shuffled))
    assert one == other
    assert advise.advise([replace(each, answered=False) for each in BUSY], Choices(), (), NOON).recommendations == ()
