"""Plans over HTTP: submitted, followed to the end, read in pages; what is no plan is refused by its field."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from adapters.postgres.consent import ConsentStore
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.profiles import Profiles
from adapters.postgres.tenants import Tenants
from domain import plans
from domain.consent import ConsentChange, ConsentStatus
from domain.profiles import Profile
from domain.values import Purpose
from tests.builders import NOON, a_type


@pytest.fixture
def world(db, box, tenant):
    """A tenant at noon; three people in France who consented."""
    shifted = Tenants(db, box).shift_clock(tenant.tenant, (NOON - datetime.now(UTC)).total_seconds())
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    given = ConsentChange(
        purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="test", effective_at=NOON - timedelta(days=9)
    )
    for name in ("a", "b", "c"):
        Profiles(db).put(shifted, name, Profile(country="FR"), actor="test")
        ConsentStore(db).record(shifted, name, [given], actor="test", now=NOON)
    return shifted


def ended(api, plan_id):
    for _ in range(600):
        plan = api.get(f"/v1/plans/{plan_id}").json()
        if plan["state"] in ("done", "failed"):
            return plan
        time.sleep(0.1)
    raise AssertionError("the plan did not end")


def test_a_plan_is_followed_to_its_end_and_its_items_are_read_in_pages(api, world):
    asked = {"message": {"type": "news"}, "audience": {"field": "profile.country", "equals": "FR"}}
    queued = api.post("/v1/plans", json=asked | {"budgets": {"messages": 2}})
    assert (queued.status_code, queued.json()["summary"]) == (202, None)
    plan = ended(api, queued.json()["plan_id"])
    assert (plan["state"], plan["summary"]["recipients"], plan["summary"]["items"]) == ("done", 3, 2)
    assert api.get(f"/v1/jobs/{plan['job_id']}").json()["kind"] == "plan"
    where = f"/v1/plans/{plan['plan_id']}/items"
    first = api.get(where, params={"limit": 1}).json()
    second = api.get(where, params={"limit": 1, "cursor": first["next_cursor"]}).json()
    found = [*first["items"], *second["items"]]
    assert [each["position"] for each in found] == [0, 1]
    record = api.get(f"/v1/decisions/{found[0]['decision_id']}").json()
    assert record["outcome"] == found[0]["outcome"]


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"message": {"type": "unheard_of"}}, "message.unknown_type", "message.type"),
        ({"slots": 3}, "request.invalid", ""),
        ({"audience": {"field": "x", "equals": 1}}, "request.invalid", "audience"),
        ({"budgets": {"channels": {"pigeon": 1}}}, "request.invalid", "budgets.channels"),
        ({"per_recipient": 0}, "request.invalid", "per_recipient"),
        ({"window": {"until": "2020-01-01T00:00:00Z"}}, "request.invalid", "window.until"),
        ({"window": {"until": "2020-01-01T00:00:00Z"}, "slots": 3}, "request.invalid", "window.until"),
        (
            {"window": {"from": "2026-03-02T18:00:00.000001Z", "until": "2026-03-02T18:00:00.000003Z"}, "slots": 8},
            "request.invalid",
            "window.until",
        ),
        ({"budgets": {"money": 1e12, "costs": {"push": 5e-324}}}, "request.invalid", "budgets.costs"),
        ({"prices": {}}, "request.invalid", "prices"),
    ],
)
def test_what_is_no_plan_is_refused_by_its_field(api, world, fields, code, field):
    answer = api.post("/v1/plans", json={"message": {"type": "news"}} | fields)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["errors"][0]["field"].startswith(field)


def test_the_dearest_and_the_cheapest_prices_there_are_make_a_plan(api, world):
    budgets = {"money": 1e12, "costs": {"email": 1e12, "push": 1e-6, "sms": 0}}
    queued = api.post("/v1/plans", json={"message": {"type": "news"}, "budgets": budgets})
    plan = ended(api, queued.json()["plan_id"])
    assert (plan["state"], plan["problem"]) == ("done", None)


def test_an_audience_that_does_not_fit_into_memory_is_refused_before_it_is_read(api, world, monkeypatch):
    monkeypatch.setattr(plans, "MAX_CELLS", 17)
    answer = api.post("/v1/plans", json={"message": {"type": "news"}})
    assert (answer.status_code, answer.json()["field"]) == (422, "audience")
    assert answer.json()["errors"][0]["expected"].startswith("at most 2 people where each has 6 options")
    assert api.post("/v1/plans", json={"message": {"type": "news"}, "channels": ["push"]}).status_code == 202


def test_a_plan_that_is_not_there_is_not_found(api, world):
    nobody = "00000000-0000-4000-8000-000000000000"
    assert api.get(f"/v1/plans/{nobody}").status_code == api.get(f"/v1/plans/{nobody}/items").status_code == 404
