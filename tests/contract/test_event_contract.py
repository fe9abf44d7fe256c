"""The published JSON Schema of an event: what producers were promised stays true."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from cli.docs import event_schema

ROOT = Path(__file__).parents[2]
PUBLISHED = json.loads((ROOT / "docs/contracts/engagement_event.schema.json").read_text())
REGENERATE = "write it again with `kairos docs`, after reading what changes for producers"


def test_the_published_schema_is_the_contract_of_the_code():
    assert json.loads(event_schema()) == PUBLISHED, REGENERATE


EXAMPLE = {
    "source": "shop",
    "event_id": "1",
    "type": "login",
    "recipient_id": "r",
    "occurred_at": "2026-03-01T12:00:00Z",
}


def test_the_smallest_event_ever_published_is_still_valid():
    Draft202012Validator(PUBLISHED).validate(EXAMPLE)
    assert PUBLISHED["required"] == ["source", "event_id", "type", "recipient_id", "occurred_at"], (
        "another required field breaks every producer there is"
    )


OLD_TYPES = [
    "delivery_attempted",
    "notification_sent",
    "delivered",
    "failed",
    "opened",
    "clicked",
    "dismissed",
    "converted",
    "bounced",
    "complained",
    "unsubscribed",
    "app_opened",
    "app_closed",
    "page_viewed",
    "search_performed",
    "login",
    "form_submitted",
    "feedback",
    "profile_updated",
    "preference_changed",
    "purchase",
    "action_completed",
    "recipient_deleted",
    "custom",
]
OLD_CHANNELS = ("email", "sms", "push", "in_app", "web", "voice")
OLD_FIELDS = [
    "source",
    "event_id",
    "type",
    "name",
    "recipient_id",
    "occurred_at",
    "channel",
    "session_id",
    "campaign_id",
    "message_type",
    "variant_id",
    "decision_id",
    "value",
    "context",
    "attribution",
    "properties",
]


@pytest.mark.parametrize(
    ("old", "now"),
    [
        (OLD_TYPES, PUBLISHED["$defs"]["EventType"]["enum"]),
        (OLD_CHANNELS, PUBLISHED["$defs"]["Channel"]["enum"]),
        (OLD_FIELDS, PUBLISHED["properties"]),
    ],
)
def test_nothing_a_producer_may_send_was_taken_away(old, now):
    assert set(old) <= set(now), "a producer of the first version would now be refused"
