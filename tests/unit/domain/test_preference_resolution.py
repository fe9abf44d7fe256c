"""Which preference wins: the order of the list, who is named, and that nothing lower widens what is higher."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.preference_resolution import Asked, Level, Stack, resolve
from domain.preference_scopes import ContextDimension, Scope
from domain.preferences import Frequency, Preference
from domain.values import Channel, MessageClass, Reason
from tests.builders import NOON, a_preference
from tests.thorough import examples

URGENT = {ContextDimension.URGENCY: frozenset({"immediate"})}


def asked(**fields) -> Asked:
    given = {
        "channel": Channel.EMAIL,
        "category": "news",
        "content_type": "weekly_news",
        "message_class": MessageClass.MARKETING,
        "now": NOON,
        "context": URGENT,
    }
    return Asked(**(given | fields))


MOST_SPECIFIC_FIRST = [
    Scope(channel="email", category="news", content_type="weekly_news", context={"urgency": "immediate"}),
    Scope(channel="email", category="news", context={"urgency": "immediate"}),
    Scope(context={"urgency": "immediate"}),
    Scope(channel="email", content_type="weekly_news"),
    Scope(content_type="weekly_news"),
    Scope(channel="email", category="news"),
    Scope(category="news"),
    Scope(channel="email"),
    Scope(),
]


@pytest.mark.parametrize("position", range(len(MOST_SPECIFIC_FIRST) - 1))
@pytest.mark.parametrize("enabled", [True, False])
def test_the_more_specific_preference_wins_and_names_those_it_beat(position, enabled):
    scopes = MOST_SPECIFIC_FIRST[position:]
    chosen = [a_preference(scope=scopes[0], enabled=enabled)]
    chosen += [a_preference(scope=scope, enabled=not enabled) for scope in scopes[1:]]
    found = resolve(Stack(chosen[::-1]), asked()).enabled
    assert (found.value, found.rule.id) == (enabled, scopes[0].id)
    assert [rule.id for rule in found.beaten] == [*(scope.id for scope in scopes[1:]), "built_in"]


def test_each_field_is_decided_by_the_first_that_says_something_about_it():
    chosen = [a_preference(scope=Scope(category="news"), enabled=True), a_preference(enabled=False, frequency="weekly")]
    found = resolve(Stack(chosen), asked())
    assert (found.enabled.value, found.enabled.rule.kind) == (True, "category")
    assert (found.frequency.value, found.frequency.rule.kind) == (Frequency.WEEKLY, "global")


@pytest.mark.parametrize(
    "scope", [Scope(channel="sms"), Scope(category="offers"), Scope(content_type="x"), Scope(context={"device": "ios"})]
)
def test_what_is_about_another_message_says_nothing(scope):
    assert resolve(Stack([a_preference(scope=scope, enabled=False)]), asked()).enabled.value is True


@pytest.mark.parametrize("fields", [{"is_active": False}, {"expires_at": NOON.isoformat()}])
def test_what_is_switched_off_or_expired_says_nothing(fields):
    assert resolve(Stack([a_preference(enabled=False, **fields)]), asked()).enabled.value is True
    later = a_preference(enabled=False, expires_at=(NOON + timedelta(microseconds=1)).isoformat())
    assert resolve(Stack([later]), asked()).enabled.value is False


def test_the_recipient_beats_the_template_and_that_the_tenants_default():
    off, on = a_preference(enabled=False), a_preference(enabled=True)
    stack = Stack([off], defaults=[on], template=[on], template_id="students")
    found = resolve(stack, asked()).enabled
    assert (found.value, found.rule.level) == (False, Level.RECIPIENT)
    assert [rule.level for rule in found.beaten] == [Level.TEMPLATE, Level.TENANT_DEFAULT, Level.BUILT_IN]
    assert found.beaten[0].id == f"students:{on.preference_id}"


def test_equally_binding_rules_are_decided_by_priority_then_by_strictness():
    on, off = a_preference(enabled=True, frequency="daily"), a_preference(enabled=False, frequency="weekly")
    for order in ([on, off], [off, on]):
        found = resolve(Stack(order), asked())
        assert (found.enabled.value, found.frequency.value) == (False, Frequency.WEEKLY)
    first = on.model_copy(update={"priority": 1})
    assert resolve(Stack([off, first]), asked()).enabled.value is True


@pytest.mark.parametrize("fields", [{"message_class": MessageClass.TRANSACTIONAL}, {"is_emergency": True}])
def test_what_is_mandatory_cannot_be_muted_but_law_and_suppression_can_forbid_it(fields):
    off = a_preference(enabled=False, frequency="never", windows={})
    found = resolve(Stack([off], suppression=None), asked(**fields))
    assert (found.enabled.value, found.enabled.rule.level) == (True, Level.MANDATORY)
    assert (found.frequency.value, found.windows.value) == (Frequency.IMMEDIATE, None)
    for level in ("law", "suppression"):
        forbidden = resolve(Stack([off], **{level: Reason.SUPPRESSION_BOUNCED}), asked(**fields)).enabled
        assert (forbidden.value, forbidden.rule.level) == (False, level)


SCOPES = st.sampled_from(MOST_SPECIFIC_FIRST)
PREFERENCES = st.builds(
    lambda scope, enabled, frequency, priority: a_preference(
        scope=scope,
        enabled=enabled,
        frequency=None if enabled and frequency == "never" else frequency,
        priority=priority,
    ),
    SCOPES,
    st.booleans(),
    st.one_of(st.none(), st.sampled_from(list(Frequency))),
    st.integers(-1, 1),
)


def is_wider(found, than) -> bool:
    return (found.enabled.value and not than.enabled.value) or (
        found.frequency.value.strictness < than.frequency.value.strictness
    )


@settings(max_examples=examples(1_000, 120), deadline=None)
@given(
    st.lists(PREFERENCES, min_size=1, max_size=6), st.lists(PREFERENCES, max_size=4), st.lists(PREFERENCES, max_size=4)
)
def test_nothing_lower_in_the_list_widens_what_is_higher(mine, template, defaults):
    """Whatever the recipient said about a field holds, whatever template and tenant say about it."""
    alone = resolve(Stack(mine), asked())
    found = resolve(Stack(mine, defaults=defaults, template=template), asked())
    for name in ("enabled", "frequency"):
        mine_alone, together = getattr(alone, name), getattr(found, name)
        if mine_alone.rule.level is Level.RECIPIENT:
            assert (together.value, together.rule) == (mine_alone.value, mine_alone.rule)
    for level in ("law", "suppression"):
        stack = Stack(mine, defaults=defaults, template=template, **{level: Reason.SUPPRESSION_COMPLAINED})
        assert resolve(stack, asked()).enabled.value is False


@settings(max_examples=examples(500, 80), deadline=None)
@given(st.lists(PREFERENCES, min_size=2, max_size=6), st.randoms())
def test_the_order_in_which_preferences_are_read_changes_nothing_that_holds(chosen, random):
    shuffled = list(chosen)
    random.shuffle(shuffled)
    first, second = (resolve(Stack(order), asked()) for order in (chosen, shuffled))
    assert not is_wider(first, second)
    assert not is_wider(second, first)


def test_equal_scopes_have_equal_names_and_different_ones_different_names():
    assert Scope(context={"device": "ios", "urgency": "x"}).id == Scope(context={"urgency": "x", "device": "ios"}).id
    assert len({scope.id for scope in MOST_SPECIFIC_FIRST}) == len(MOST_SPECIFIC_FIRST)
    assert Preference.model_validate({"value": {"enabled": True}}).preference_id == Scope().id


def test_a_channel_switch_beats_what_the_recipient_chose_but_not_a_mandatory_class():
    switched = Stack([a_preference(enabled=True)], switch=Reason.CHANNEL_SWITCHED_OFF)
    found = resolve(switched, asked()).enabled
    assert (found.value, found.rule.level, found.beaten[0].level) == (False, Level.SWITCH, Level.RECIPIENT)
    for fields in ({"message_class": MessageClass.TRANSACTIONAL}, {"is_emergency": True}):
        assert resolve(switched, asked(**fields)).enabled.rule.level is Level.MANDATORY


def test_a_service_message_hears_on_and_off_of_whole_channels_only():
    service = asked(message_class=MessageClass.SERVICE)
    by_category = a_preference(scope=Scope(category="news"), enabled=False)
    by_channel = a_preference(scope=Scope(channel="email"), enabled=False)
    assert resolve(Stack([by_category]), service).enabled.value is True
    assert resolve(Stack([by_category, by_channel]), service).enabled.value is False
    weekly = a_preference(scope=Scope(channel="email"), frequency="weekly")
    assert resolve(Stack([weekly]), service).frequency.value is Frequency.IMMEDIATE
