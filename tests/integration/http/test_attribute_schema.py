"""Custom attributes on a real service: held to the schema on every write, and taken as they are without one."""

import pytest

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.profiles import Profiles
from adapters.postgres.tenants import Tenants
from domain.attribute_schemas import AttributesRefused
from domain.profiles import Profile

SCHEMA = "/v1/admin/attribute-schema"
PROFILE = "/v1/recipients/r-1/profile"
GOLD = {"properties": {"tier": {"type": "string", "enum": ["gold"]}}, "additionalProperties": False}


@pytest.fixture
def held(api):
    """A tenant whose one attribute is the tier, and whose recipient had another attribute before."""
    assert api.put(PROFILE, json={"attributes": {"old": 1}}).status_code == 200
    assert api.put(SCHEMA, json=GOLD).status_code == 200
    return api


def faults(answer):
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid"), answer.text
    return [each["field"] for each in answer.json()["errors"]]


def test_without_a_schema_anything_within_the_bounds_is_taken(api):
    read = api.get(SCHEMA)
    assert (read.json()["version"], read.headers["etag"]) == (0, '"0"')
    assert api.put(PROFILE, json={"attributes": {"a": 1, "b": "x", "c": True, "d": 1.5}}).status_code == 200
    assert api.put(PROFILE, json={"attributes": {f"a{i}": i for i in range(65)}}).status_code == 422


def test_every_way_to_write_a_profile_is_held_to_the_schema_and_nothing_is_half_written(held, db, tenant):
    wrong = {"attributes": {"tier": "hunter2", "size": 4}}
    before = held.get(PROFILE).json()
    assert faults(held.put(PROFILE, json=wrong)) == ["attributes.size", "attributes.tier"]
    assert faults(held.patch(PROFILE, json=wrong)) == ["attributes.old", "attributes.size", "attributes.tier"]
    corrected = held.post("/v1/recipients/r-1/rectification", json={"profile": wrong, "reason": "asked"})
    assert faults(corrected) == ["profile.attributes.old", "profile.attributes.size", "profile.attributes.tier"]
    with pytest.raises(AttributesRefused):
        Profiles(db).put_many(tenant, {"r-2": Profile(), "r-3": Profile(attributes={"size": 4})}, actor="test")
    assert held.get(PROFILE).json() == before
    assert held.get("/v1/recipients/r-2/profile").status_code == 404
    assert "hunter2" not in held.put(PROFILE, json=wrong).text
    assert held.put(PROFILE, json={"attributes": {"tier": "gold"}}).status_code == 200
    assert faults(held.put("/v1/recipients/new/profile", json=wrong)) == ["attributes.size", "attributes.tier"]
    assert held.get("/v1/recipients/new/profile").status_code == 404


def test_what_was_stored_before_stays_until_attributes_are_changed(held):
    assert held.patch(PROFILE, json={"locale": "fr"}).json()["profile"]["attributes"] == {"old": 1}
    assert faults(held.patch(PROFILE, json={"attributes": {"tier": "gold"}})) == ["attributes.old"]
    changed = held.patch(PROFILE, json={"attributes": {"old": None, "tier": "gold"}})
    assert changed.json()["profile"]["attributes"] == {"tier": "gold"}


def test_versions_count_are_guarded_and_audited(api):
    first = api.put(SCHEMA, json=GOLD, headers={"If-Match": '"0"'})
    assert (first.json()["version"], first.headers["etag"]) == (1, '"1"')
    assert first.json()["attribute_schema"]["additionalProperties"] is False
    assert api.put(SCHEMA, json=GOLD).json()["version"] == 1
    stale = api.put(SCHEMA, json={}, headers={"If-Match": '"0"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "attribute_schema.version_conflict")
    assert api.put(SCHEMA, json={}).json()["version"] == 2
    assert api.put(PROFILE, json={"attributes": {"free": "again"}}).status_code == 200
    rows = api.get("/v1/audit", params={"action": "attribute_schema.set"}).json()["entries"]
    assert sorted(row["detail"]["version"] for row in rows) == [1, 2]
    (newest,) = [row for row in rows if row["detail"]["version"] == 2]
    assert newest["old"]["properties"]["tier"]["enum"] == ["gold"]


def test_a_schema_with_a_pattern_is_refused_by_its_place(api):
    refused = api.put(SCHEMA, json={"properties": {"tier": {"type": "string", "pattern": "(a+)+$"}}})
    assert faults(refused) == ["properties.tier.pattern"]


def test_only_the_administrator_sets_it_and_another_tenant_is_not_held_to_it(held, server, db, box, tenant):
    other, _ = Tenants(db, box).create("another-shop", display_name="Another")
    theirs = {"X-API-Key": ApiKeys(db, box).issue(other.tenant, name="test")}
    assert server.put(PROFILE, json={"attributes": {"size": 4}}, headers=theirs).status_code == 200
    application = ApiKeys(db, box).issue(tenant.tenant, name="shop", roles=["application"])
    refused = server.put(SCHEMA, json={}, headers={"X-API-Key": application})
    assert (refused.status_code, refused.json()["code"]) == (403, "auth.forbidden")
    assert server.get(SCHEMA, headers={"X-API-Key": application}).json()["version"] == 1
