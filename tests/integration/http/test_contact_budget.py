"""The contact budget over HTTP: its versions, what is refused, and how it stands for a recipient."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from adapters.postgres.consent import ConsentStore
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import audit
from adapters.postgres.tenants import Tenants
from domain.consent import ConsentChange, ConsentStatus
from domain.values import Purpose
from tests.builders import NOON, a_type

WHERE = "/v1/admin/contact-budget"
ONE_A_DAY = {"rules": [{"id": "one", "limit": 1, "calendar": "day", "scope": {"class": "marketing"}}]}


@pytest.fixture
def noon(db, box, tenant):
    Tenants(db, box).shift_clock(tenant.tenant, (NOON - datetime.now(UTC)).total_seconds())


def test_what_is_shipped_is_shown_until_rules_are_published_in_versions(api, db, tenant):
    shipped = api.get(WHERE)
    assert (shipped.json()["version"], shipped.headers["etag"]) == (0, '"0"')
    assert {"recipient_hour", "recipient_day_marketing"} <= {each["id"] for each in shipped.json()["budget"]["rules"]}
    published = api.put(WHERE, json=ONE_A_DAY, headers={"If-Match": '"0"'})
    assert (published.status_code, published.headers["etag"]) == (200, '"1"')
    assert api.get(WHERE).json()["budget"]["rules"][0]["scope"]["class"] == "marketing"
    again = api.put(WHERE, json=ONE_A_DAY, headers={"If-Match": '"0"'})
    assert (again.status_code, again.json()["code"]) == (412, "contact_budget.version_conflict")
    with db.tenant(tenant.tenant) as connection:
        actions = list(connection.execute(select(audit.c.action)).scalars())
    assert actions.count("contact_budget.published") == 1


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"limit": 1}, "rules.0"),
        ({"limit": -1, "calendar": "day"}, "rules.0.limit"),
        ({"limit": 1, "calendar": "fortnight"}, "rules.0.calendar"),
        ({"limit": 1, "rolling_minutes": 0}, "rules.0.rolling_minutes"),
        ({"limit": 1, "calendar": "day", "scope": {"channel": "pigeon"}}, "rules.0.scope.channel"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_by_the_name_of_its_field(api, rule, field):
    answer = api.put(WHERE, json={"rules": [{"id": "x"} | rule]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert api.get(WHERE).json()["version"] == 0


def test_a_second_message_of_the_day_waits_and_the_budget_says_until_when(api, db, tenant, noon):
    on_email = {"channels": ["email"], "variants": [{"id": "a", "content": {"email": {"body": "b"}}}]}
    MessageTypes(db).publish(tenant, [a_type(**on_email)], actor="test")
    grant = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, effective_at=NOON, source="test")
    ConsentStore(db).record(tenant, "r", [grant], actor="test", now=NOON)
    assert api.put(WHERE, json=ONE_A_DAY).status_code == 200
    before = api.get("/v1/recipients/r/contact-budget").json()["rules"][0]
    answers = [api.post("/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}}) for _ in range(2)]
    assert [each.json()["outcome"] for each in answers] == ["send_now", "defer"]
    after = api.get("/v1/recipients/r/contact-budget").json()["rules"][0]
    assert (before["used"], before["opens_at"], after["used"]) == (0, None, 1)
    assert after["opens_at"] == "2026-03-03T05:00:00Z"
    told = api.get(f"/v1/decisions/{answers[1].json()['decision_id']}/explanation").json()
    assert "as often as the sender allows itself" in str(told)
