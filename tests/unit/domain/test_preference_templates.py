"""Templates: what one is, what of it is for whom, and that it never stands for consent or beats the recipient."""

import re
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.consent import ConsentChange
from domain.preference_gate import Choices, LastSent, held
from domain.preference_resolution import Asked, Level, resolve
from domain.preference_scopes import Scope
from domain.preference_templates import Template, fit, named, refusals
from domain.preferences import Preference, PreferenceValue
from domain.segment_reading import written
from domain.values import Channel, MessageClass, Reason
from tests.builders import NOON, a_preference

NEW_YORK = ZoneInfo("America/New_York")
OFF = {"preference": {"value": {"enabled": False}}}
FRENCH = {"field": "profile.country", "equals": "FR"}
ADULT = {"field": "profile.age", "greater_than": 17}
ASKED = Asked(Channel.EMAIL, "news", "news", MessageClass.MARKETING, NOON)


def a_template(*values, **fields):
    return Template.model_validate({"type": "segment", "description": "d", "values": list(values) or [OFF]} | fields)


def test_a_template_is_written_as_it_is_read():
    email = {"preference": {"scope": {"channel": "email"}, "value": {"frequency": "weekly"}}}
    whole = a_template(OFF | {"when": {"not": FRENCH}}, email, conditions={"and": [FRENCH, ADULT]},
                       audiences=[{"name": "adults", "rule": ADULT}])  # fmt: skip
    assert Template.model_validate(whole.model_dump(mode="json")) == whole
    assert Template.model_validate_json(whole.model_dump_json(), strict=True) == whole
    assert whole.model_dump(mode="json")["conditions"] == {"and": [FRENCH, ADULT]} == written(whole.conditions)
    assert whole.facts == {"profile.country", "profile.age"}


def test_a_value_whose_condition_is_unknown_is_not_held():
    template = a_template(
        OFF | {"when": ADULT}, {"preference": {"scope": {"channel": "sms"}, "value": {"enabled": True}}}
    )
    assert fit(template, {}, NOON).held == (1,)
    assert fit(template, {"profile.age": 17}, NOON).held == (1,)
    assert fit(template, {"profile.age": 18}, NOON).held == (0, 1)


@pytest.mark.parametrize(("country", "may"), [("FR", True), ("DE", False), (None, False)])
def test_it_applies_only_where_its_conditions_are_true_and_says_why(country, may):
    found = fit(a_template(conditions=FRENCH), {"profile.country": country}, NOON)
    assert found.may_apply is may
    assert [(each.field, each.truth) for each in found.reasons] == [
        ("conditions", {"FR": True, "DE": False}.get(country))
    ]
    assert found.unmet == (() if may else found.reasons)


def test_settings_are_held_to_the_tenants_schema_by_place():
    settings = a_template(OFF, {"preference": {"scope": {"channel": "sms"}, "value": {"settings": {"a": "x"}}}})
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert [each.field for each in refusals(settings, schema)] == ["values.1.preference.value.settings.a"]
    assert [each.field for each in refusals(settings, None)] == ["values.1.preference.value.settings"]
    assert refusals(settings, {"type": "object"}) == []


def test_a_template_has_no_room_for_a_consent():
    said = set(Template.model_fields) | set(Preference.model_fields) | set(PreferenceValue.model_fields)
    assert not said & set(ConsentChange.model_fields) - {"source", "expires_at"}
    with pytest.raises(ValidationError):
        a_template(OFF | {"consents": [{"purpose": "marketing", "status": "given"}]})


VALUES = st.builds(
    lambda enabled, frequency: a_preference(enabled=enabled, frequency=frequency),
    st.sampled_from([True, None]),
    st.sampled_from(["immediate", "daily", "monthly"]),
)


@given(st.lists(VALUES, max_size=3), st.lists(VALUES, min_size=1, max_size=3), VALUES)
def test_no_template_changes_what_a_recipient_said_or_a_gate_refused(mine, template, default):
    alone = Choices(preferences=tuple(mine), defaults=(default,))
    both = Choices(preferences=tuple(mine), defaults=(default,), template=tuple(template), template_name=named("t", 3))
    before, after = resolve(alone.stack(), ASKED), resolve(both.stack(), ASKED)
    for name in ("enabled", "frequency", "windows"):
        old, new = getattr(before, name), getattr(after, name)
        if old.rule.level is Level.RECIPIENT:
            assert (old.value, old.rule) == (new.value, new.rule)
        assert new.rule.level is not Level.TENANT_DEFAULT or not any(
            getattr(t.value, name) is not None for t in template
        )
    for gate in ("law", "suppression", "switch"):
        assert resolve(both.stack(**{gate: Reason.SUPPRESSION_LISTED}), ASKED).enabled.value is False


def test_a_frequency_of_a_template_counts_what_its_scope_is_about():
    weekly = a_preference(scope=Scope(category="news"), frequency="weekly")
    sent = LastSent(channel=Channel.PUSH, category="news", content_type="news", at=NOON - timedelta(days=1))
    other = LastSent(channel=Channel.PUSH, category="else", content_type="else", at=NOON)
    choices = Choices(template=(weekly,), template_name="calm@2", sent=(sent, other))
    found = held(choices, ASKED, zone=NEW_YORK)
    assert (found.reason, found.opens_at) == (Reason.PREFERENCE_FREQUENCY, sent.at + timedelta(days=7))
    assert found.rule == f"calm@2:{weekly.preference_id}"
    assert held(Choices(template=(weekly,), template_name="calm@2", sent=(other,)), ASKED, zone=NEW_YORK) is None


def test_the_example_in_the_documents_is_a_template():
    page = (Path(__file__).parents[3] / "docs" / "preferences.md").read_text()
    [example] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    template = Template.model_validate_json(example, strict=True)
    assert template.audience("rare") is not None
    assert template.facts == {"profile.country", "segment.name", "events.clicked.sms.90d"}
