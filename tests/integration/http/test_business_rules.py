"""Business rules over HTTP: their versions, what is refused, and that decisions obey and record them."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from adapters.postgres.consent import ConsentStore
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import audit
from adapters.postgres.tenants import Tenants
from domain.consent import ConsentChange, ConsentStatus
from domain.values import Purpose
from tests.builders import NOON, a_type

WHERE = "/v1/business-rules"
NO_EMAIL_IN_RAIN = {
    "id": "no_email_in_rain",
    "action": "exclude",
    "channels": ["email"],
    "when": {"field": "context.external.weather.rain_mm", "greater_than": 2},
}
ONLY_B = {"id": "only_b", "action": "require", "variants": ["b"], "when": {"field": "profile.country", "equals": "FR"}}


@pytest.fixture
def world(db, box, tenant):
    """A tenant at noon with one type, and consent of ``r``."""
    shifted = Tenants(db, box).shift_clock(tenant.tenant, (NOON - datetime.now(UTC)).total_seconds())
    MessageTypes(db).publish(tenant, [a_type(external_features=["weather.rain_mm"])], actor="test")
    given = [
        ConsentChange(purpose=each, status=ConsentStatus.GIVEN, source="test", effective_at=NOON - timedelta(days=9))
        for each in (Purpose.MARKETING, Purpose.PERSONALIZATION)
    ]
    ConsentStore(db).record(tenant, "r", given, actor="test", now=NOON)
    return shifted


def publish(api, *rules, **fields):
    answer = api.put(WHERE, json={"rules": list(rules)} | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()["version"]


def ask(api, **fields):
    answer = api.post("/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}} | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_rules_are_published_in_versions_and_audited(api, db, tenant):
    empty = api.get(WHERE)
    assert (empty.json()["version"], empty.headers["etag"]) == (0, '"0"')
    first = api.put(WHERE, json={"rules": [NO_EMAIL_IN_RAIN]}, headers={"If-Match": '"0"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"1"')
    assert api.get(WHERE).json() == first.json()
    assert publish(api, NO_EMAIL_IN_RAIN) == 1
    stale = api.put(WHERE, json={"rules": []}, headers={"If-Match": '"0"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "business_rules.version_conflict")
    assert publish(api) == 2
    with db.tenant(tenant.tenant) as connection:
        rows = connection.execute(select(audit).where(audit.c.action == "business_rules.published")).all()
    assert sorted(row.detail["version"] for row in rows) == [1, 2]


def test_a_decision_obeys_the_rules_in_force_and_records_which_fired(api, world):
    publish(api, NO_EMAIL_IN_RAIN)
    dry = ask(api, context={"external": {"weather": {"rain_mm": 0}}})
    assert (dry["channel"], dry["versions"]["business_rules"]) == ("email", 1)
    wet = ask(api, context={"external": {"weather": {"rain_mm": 3, "wind": 4}}})
    assert wet["channel"] == "push"
    assert wet["refusals"] == [{"channel": "email", "reason": "rule.excluded", "rule": "no_email_in_rain"}]
    record = api.get(f"/v1/decisions/{wet['decision_id']}").json()
    assert record["business_rules"]["fired"] == [
        {"rule": "no_email_in_rain", "action": "exclude", "channels": ["email"]}
    ]
    assert record["request"]["context"]["external"]["weather"] == {"rain_mm": 3}
    assert record["external_ignored"] == ["weather.wind"]


def test_a_rule_may_ask_about_the_profile(api, world):
    publish(api, ONLY_B)
    assert api.put("/v1/recipients/r/profile", json={"country": "FR"}).status_code == 200
    record = api.get(f"/v1/decisions/{ask(api)['decision_id']}").json()
    assert [each["variant_id"] for each in record["stages"][1]["options"]] == ["b"]


def test_a_rule_may_ask_how_often_something_happened(api, world):
    count = {"count": {"event": "purchase", "days": 30}, "greater_than": 0}
    publish(api, {"id": "not_after_buying", "action": "exclude", "when": count})
    assert ask(api)["outcome"] == "send_now"
    event = {"source": "shop", "event_id": "1", "type": "purchase", "recipient_id": "r"}
    event |= {"occurred_at": (NOON - timedelta(days=2)).isoformat()}
    assert api.post("/v1/events", json=event).status_code == 202
    assert ask(api)["reason"] == "rule.excluded"


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"action": "exclude"}, "rules.0"),
        ({"action": "forbid", "channels": ["email"]}, "rules.0.action"),
        ({"action": "exclude", "channels": ["pigeon"]}, "rules.0.channels.0"),
        ({"action": "boost", "channels": ["email"], "by": 2.0}, "rules.0.by"),
        ({"action": "exclude", "when": {"field": "profile.shoe", "equals": 1}}, "rules.0.when"),
        ({"action": "exclude", "channels": ["email"], "priority": 1}, "rules.0.priority"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_by_the_name_of_its_field(api, rule, field):
    answer = api.put(WHERE, json={"rules": [{"id": "x"} | rule]})
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert api.get(WHERE).json()["version"] == 0
