"""Preferences as they are written: what contradicts itself, what the tenant allows, what overrules a denial."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from domain.preference_scopes import Scope, times
from domain.preferences import PreferencePolicy, conflicts, problems
from tests.builders import NOON, a_preference

SCHEMA = {
    "type": "object",
    "properties": {"digest_hour": {"type": "integer", "maximum": 23}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "at least one"),
        ({"enabled": True, "frequency": "never"}, "contradicts"),
        ({"frequency": "often"}, "immediate"),
    ],
)
def test_a_value_says_something_and_does_not_contradict_itself(value, said):
    with pytest.raises(ValidationError, match=said):
        a_preference(**value)


def test_never_is_a_denial_like_off():
    assert a_preference(frequency="never").value.is_denial
    assert a_preference(enabled=False).value.is_denial
    assert not a_preference(frequency="monthly").value.is_denial


def test_settings_need_a_schema_and_must_fit_it():
    given = [a_preference(settings={"digest_hour": 99})]
    assert [each.field for each in problems(given, None)] == ["0.value.settings"]
    (bad,) = problems(given, SCHEMA)
    assert (bad.field, "99" in bad.expected) == ("0.value.settings.digest_hour", False)
    assert problems([a_preference(settings={"digest_hour": 9})], SCHEMA) == []


def test_one_scope_is_said_once():
    assert [each.field for each in problems([a_preference(enabled=True), a_preference(enabled=False)], None)] == [
        "1.scope"
    ]


def test_a_policy_holds_to_its_own_schema():
    with pytest.raises(ValidationError, match=r"defaults\.0\.value\.settings"):
        PreferencePolicy(defaults=(a_preference(settings={"digest_hour": 24}),), settings_schema=SCHEMA)
    with pytest.raises(ValidationError, match="settings_schema must be a JSON Schema of type object"):
        PreferencePolicy(settings_schema={"type": "array"})


def test_overruling_a_denial_is_pointed_out_once_and_only_that_way_round():
    off = a_preference(enabled=False)
    on = a_preference(scope=Scope(category="news"), enabled=True)
    elsewhere = a_preference(scope=Scope(channel="sms"), enabled=False)
    (found,) = conflicts([off, on, elsewhere], NOON)
    assert (found.field, off.preference_id in found.expected) == ("1.value.enabled", True)
    assert conflicts([a_preference(enabled=True), on], NOON) == []


def test_the_part_of_day_and_of_the_week_are_read_off_the_recipients_clock():
    at = datetime(2026, 3, 7, 3, tzinfo=UTC)
    assert times(at, ZoneInfo("America/New_York")) == {"night", "weekday"}
    assert times(at, ZoneInfo("Asia/Tokyo")) == {"afternoon", "weekend"}
