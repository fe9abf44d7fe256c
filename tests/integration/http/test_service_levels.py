"""Service levels over HTTP: defaults, versions, conflicts, the trail; and what a decision does by its level."""

import pytest
from sqlalchemy import select

from adapters.postgres.message_types import MessageTypes
from adapters.postgres.service_level_tables import service_level
from adapters.postgres.tables import audit
from tests.builders import a_type

LEVELS = "/v1/admin/service-levels"
BASIC = f"{LEVELS}/basic"
FASTER = {"stages": ["template", "gates"], "deadline_ms": 10}


def test_every_level_has_its_default(api):
    levels = api.get(LEVELS).json()["levels"]
    assert [(each["level"], each["version"], each["definition"]["deadline_ms"]) for each in levels] == [
        ("basic", 0, 20),
        ("standard", 0, 50),
        ("premium", 0, 80),
        ("enterprise", 0, 100),
        ("quantum", 0, None),
    ]


def test_a_level_is_set_in_versions_and_an_equal_one_makes_none(api, db, tenant):
    made = api.put(BASIC, json=FASTER)
    assert (made.status_code, made.json()["version"], made.headers["etag"]) == (200, 1, '"1"')
    assert made.json()["definition"] == {"stages": ["gates", "template"], "deadline_ms": 10}
    assert api.put(BASIC, json=FASTER | {"stages": ["gates", "template"]}).json()["version"] == 1
    assert api.put(BASIC, json=FASTER | {"deadline_ms": 11}).json()["version"] == 2
    assert api.get(BASIC).json()["definition"]["deadline_ms"] == 11
    assert api.get(f"{LEVELS}/standard").json()["version"] == 0
    with db.tenant(tenant.tenant) as connection:
        kept = connection.execute(select(service_level.c.version, service_level.c.document["deadline_ms"])).all()
        told = connection.execute(select(audit.c.detail).where(audit.c.action == "service_level.set")).scalars().all()
    assert sorted(map(tuple, kept)) == [(1, 10), (2, 11)]
    assert sorted(each["version"] for each in told) == [1, 2]


def test_a_change_of_what_somebody_else_changed_is_refused(api):
    assert api.put(BASIC, json=FASTER, headers={"If-Match": '"0"'}).status_code == 200
    stale = api.put(BASIC, json=FASTER | {"deadline_ms": 12}, headers={"If-Match": '"0"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "service_level.version_conflict")
    assert api.get(BASIC).json()["definition"]["deadline_ms"] == 10


@pytest.mark.parametrize(
    "body",
    [
        {"stages": ["template"], "deadline_ms": 10},
        {"stages": ["gates", "template", "bandit"], "deadline_ms": 10},
        {"stages": ["gates", "template", "magic"], "deadline_ms": 10},
        {"stages": ["gates", "template"], "deadline_ms": 5_000},
        {"stages": ["gates", "template"]},
    ],
)
def test_a_level_that_cannot_be_is_refused_and_leaves_the_old_one(api, body):
    assert api.put(BASIC, json=body).status_code == 422
    assert api.get(BASIC).json()["version"] == 0


def test_there_are_no_other_levels(api):
    assert api.put(f"{LEVELS}/platinum", json=FASTER).status_code == 422


def ask(api, level):
    wanted = {"recipient_id": "r", "message": {"type": "news", "urgency": "flexible"}, "service_level": level}
    return api.post("/v1/decisions", json=wanted)


@pytest.fixture
def consenting(api, db, tenant):
    # Transactional, so that the hour at which the tests run closes no gate.
    MessageTypes(db).publish(tenant, [a_type(**{"class": "transactional"})], actor="test")
    for purpose in ("marketing", "personalization"):
        api.post("/v1/recipients/r/consents", json={"purpose": purpose, "status": "given", "source": "t"})


@pytest.mark.parametrize(("level", "chooses_hour"), [("basic", False), ("standard", False), ("premium", True)])
def test_a_decision_goes_through_the_stages_of_its_level_and_says_so(api, consenting, level, chooses_hour):
    answer = ask(api, level).json()
    record = api.get(f"/v1/decisions/{answer['decision_id']}").json()
    assert ("slot" in [stage["name"] for stage in record["stages"]]) is chooses_hour
    assert record["service_level"] == answer["service_level"]
    assert answer["service_level"]["level"] == record["request"]["service_level"] == level
    assert ("send_time" in answer["service_level"]["stages"]) is chooses_hour


def test_a_level_that_needs_no_score_asks_for_none(api, consenting):
    # No model is loaded here: who needs one is told that rules answered instead.
    assert (ask(api, "basic").json()["degraded"], ask(api, "standard").json()["degraded"]) == (None, "rules")


def test_what_the_tenant_set_is_what_is_done(api, consenting):
    stages = ["gates", "template", "engagement_score", "send_time"]
    api.put(BASIC, json={"stages": stages, "deadline_ms": 1})
    served = ask(api, "basic").json()["service_level"]
    # Nothing is decided and committed within a millisecond.
    assert served == {"level": "basic", "stages": stages, "deadline_ms": 1, "is_late": True}


def test_without_a_level_there_is_none_in_the_answer(api, consenting):
    assert ask(api, None).json()["service_level"] is None


@pytest.mark.parametrize("level", ["quantum", "platinum", "", 1])
def test_no_other_level_can_be_asked_for_one_decision(api, consenting, level):
    refused = ask(api, level)
    assert (refused.status_code, refused.json()["field"]) == (422, "service_level")
    assert "basic" in refused.json()["errors"][0]["expected"]
