"""Service levels over HTTP: defaults, versions, conflicts, the trail; and decisions do not pretend to heed them."""

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
    assert [each["version"] for each in told] == [1, 2]


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


def test_a_decision_does_not_pretend_to_heed_a_level(api, db, tenant):
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    wanted = {"recipient_id": "r", "message": {"type": "news"}, "service_level": "basic"}
    refused = api.post("/v1/decisions", json=wanted)
    assert (refused.status_code, refused.json()["code"]) == (400, "request.not_supported")
