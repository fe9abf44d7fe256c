"""Two ids of one person: for every message the stricter of what both chose, whichever scope said it."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.merged_preferences import merged
from domain.merged_profiles import merged as merged_profiles
from domain.preference_resolution import Asked, Stack, resolve
from domain.preferences import Preference
from domain.profiles import Profile
from domain.values import Channel, MessageClass
from domain.weekly_windows import Weekday, Window, covers, intersection
from tests.thorough import examples

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
FULL = {day.value: [{"start": "00:00", "end": "24:00"}] for day in Weekday}
HOURS = (
    None,
    {"monday": [{"start": "09:00", "end": "12:00"}]},
    {"monday": [{"start": "11:00", "end": "18:00"}], "tuesday": [{"start": "22:00", "end": "06:00"}]},
    FULL,
)
EXPIRIES = (None, 2, 5)


@st.composite
def preferences(draw):
    scope = {"channel": draw(st.sampled_from(("*", "email", "push")))}
    scope |= {"category": draw(st.sampled_from((None, "news", "bills")))}
    scope |= {"content_type": draw(st.sampled_from((None, "digest")))}
    value = {"enabled": draw(st.sampled_from((None, True, False)))}
    value |= {
        "frequency": draw(st.sampled_from((None, "daily", "weekly", "never"))),
        "windows": draw(st.sampled_from(HOURS)),
    }
    if value["frequency"] == "never" and value["enabled"]:
        value["enabled"] = None
    if all(each is None for each in value.values()):
        value["enabled"] = True
    days = draw(st.sampled_from(EXPIRIES))
    expires_at = (NOW + timedelta(days=days)).isoformat() if days else None
    body = {"scope": scope, "value": value, "priority": draw(st.sampled_from((0, 5))), "expires_at": expires_at}
    return Preference.model_validate(body | {"is_active": draw(st.sampled_from((True, True, False)))})


sets = st.lists(preferences(), max_size=5, unique_by=lambda each: each.preference_id)
MESSAGES = [
    Asked(channel=channel, category=category, content_type=content_type, message_class=MessageClass.MARKETING, now=NOW)
    for channel in (Channel.EMAIL, Channel.PUSH)
    for category in ("news", "bills")
    for content_type in ("digest", "other")
]


def minutes(windows):
    """Return the minutes of the week that are open; None is all of them."""
    if windows is None:
        return set(range(0, 7 * 24 * 60, 15))
    monday = datetime(2026, 3, 2, tzinfo=UTC)
    every = range(0, 7 * 24 * 60, 15)
    return {each for each in every if covers(windows, now=monday + timedelta(minutes=each), zone=UTC)}


@settings(max_examples=examples(1_000, 120))
@given(sets, sets, st.sampled_from((0, 1, 3, 6)), st.sampled_from(MESSAGES))
def test_no_message_is_allowed_that_one_of_the_two_ids_denied(ours, theirs, days, asked):
    both = [each for each in merged(ours, theirs, now=NOW).values() if each is not None]
    asked = Asked(**{**asked.__dict__, "now": NOW + timedelta(days=days)})
    one, other, after = (resolve(Stack(preferences=each), asked) for each in (ours, theirs, both))
    if not (one.enabled.value and other.enabled.value):
        assert after.enabled.value is False
        return
    strict = [each.frequency.value.period or timedelta(0) for each in (one, other, after)]
    assert strict[2] >= max(strict[:2])
    assert minutes(after.windows.value) <= minutes(one.windows.value) & minutes(other.windows.value)


@given(sets)
def test_an_id_that_chose_nothing_changes_nothing(ours):
    assert merged(ours, [], now=NOW) == {each.preference_id: each for each in ours}


@given(st.sampled_from(HOURS[1:]), st.sampled_from(HOURS[1:]))
def test_hours_of_both_are_the_hours_of_each_that_the_other_has(one, other):
    weeks = [
        {Weekday(day): tuple(Window(**each) for each in some) for day, some in week.items()} for week in (one, other)
    ]
    assert minutes(intersection(weeks)) == minutes(weeks[0]) & minutes(weeks[1])


def test_a_profile_keeps_its_facts_and_takes_what_it_lacks():
    ours = Profile.model_validate({"country": "FR", "attributes": {"a": 1}, "channels": {"email": {"reachable": True}}})
    theirs = Profile.model_validate(
        {
            "country": "US",
            "city": "Nice",
            "attributes": {"a": 2, "b": 3},
            "channels": {"email": {"reachable": False}, "sms": {"reachable": True}},
        }
    )
    both = merged_profiles(ours, theirs)
    assert (both.country, both.city, both.attributes) == ("FR", "Nice", {"a": 1, "b": 3})
    assert {name.value: each.reachable for name, each in both.channels.items()} == {"email": False, "sms": True}
