"""Preferences of other systems: every denial arrives, and what cannot be mapped is reported and denied."""

import pytest

from domain.preference_imports import Unreadable, knock, novu, table
from domain.values import Channel


def said(imported):
    return {
        (each.scope.channel, each.scope.category, each.scope.content_type): each.value.enabled
        for each in imported.preferences
    }


def test_a_knock_set_arrives_whole():
    given = {
        "id": "default",
        "channel_types": {"email": True, "in_app_feed": False},
        "categories": {"news": False, "offers": {"channel_types": {"sms": False, "push": True}}},
        "workflows": {"welcome": True},
        "channels": {"0f-1": False},
        "commercial_subscribed": False,
    }
    found = knock({"user_id": "r", "preferences": given}, {"0f-1": Channel.VOICE})
    assert said(found) == {
        ("email", None, None): True,
        ("in_app", None, None): False,
        ("voice", None, None): False,
        ("*", "news", None): False,
        ("sms", "offers", None): False,
        ("push", "offers", None): True,
        ("*", None, "welcome"): True,
    }
    assert (found.recipient_id, found.withdraws_marketing, found.notes) == ("r", True, ())


CONDITIONS = {"conditions": [{"variable": "recipient.plan", "operator": "equal_to", "argument": "pro"}]}


@pytest.mark.parametrize(
    ("given", "denied"),
    [
        ({"channel_types": {"email": CONDITIONS}}, ("email", None, None)),
        ({"workflows": {"welcome": CONDITIONS}}, ("*", None, "welcome")),
        ({"categories": {"news": CONDITIONS | {"channel_types": {"email": True}}}}, ("*", "news", None)),
        ({"workflows": {"welcome": None}}, ("*", None, "welcome")),
        ({"channels": {"0f-1": False}}, ("*", None, None)),
        ({"workflows": {"welcome": {"channels": {"0f-1": CONDITIONS}}}}, ("*", None, "welcome")),
    ],
)
def test_what_may_have_been_a_denial_is_denied_and_reported(given, denied):
    found = knock({"id": "r", "preferences": given}, {})
    assert said(found)[denied] is False
    assert found.notes


def test_a_subscription_under_conditions_is_no_subscription_and_a_plain_one_grants_nothing():
    assert knock({"id": "r", "commercial_subscribed": CONDITIONS}, {}).withdraws_marketing
    plain = knock({"id": "r", "commercial_subscribed": True}, {})
    assert (plain.withdraws_marketing, plain.preferences) == (False, ())


def test_two_names_that_are_one_here_are_denied_when_one_is():
    for order in (("New News", "new_news"), ("new_news", "New News")):
        found = knock({"id": "r", "categories": {order[0]: True, order[1]: False}}, {})
        assert said(found) == {("*", "new_news", None): False}
        assert any("named new_news" in note for note in found.notes)


def test_novu_has_preferences_of_a_workflow_and_of_all():
    channels = {"email": False, "inApp": True, "in_app": False, "chat": False}
    of_all = novu({"subscriberId": "r", "channels": channels}, {})
    assert said(of_all) == {("email", None, None): False, ("in_app", None, None): False}
    assert of_all.notes == ("channels.chat: nothing is sent there from here; left out",)
    of_one = novu({"subscriberId": "r", "workflowId": "digest", "channels": {"sms": "maybe"}}, {})
    assert said(of_one) == {("sms", None, "digest"): False}


def test_a_table_says_channel_category_and_frequency():
    row = {"recipient_id": "r", "channel": "email", "category": "news", "enabled": "", "frequency": "never"}
    (found,) = table(row, {}).preferences
    assert found.value.is_denial
    assert said(table({"recipient_id": "r", "enabled": "No"}, {})) == {("*", None, None): False}


@pytest.mark.parametrize(
    ("read", "row", "named"),
    [
        (knock, "no object", "row"),
        (knock, {"preferences": {}}, "recipient_id"),
        (knock, {"id": 7}, "recipient_id"),
        (knock, {"id": "r", "workflows": [1]}, "workflows"),
        (novu, {"subscriberId": "r"}, "channels"),
        (table, {"recipient_id": "r", "enabled": "perhaps"}, "enabled"),
        (table, {"recipient_id": "r", "enabled": "true", "frequency": "never"}, "enabled"),
        (table, {"recipient_id": "r", "channel": "fax", "enabled": "false"}, "channel"),
        (table, {"recipient_id": "r"}, "enabled"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_field(read, row, named):
    with pytest.raises(Unreadable, match=named):
        read(row, {})
