"""Keys and roles over HTTP: issued with the least, rotated with an overlap, revoked at once, all of it in the trail."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.postgres.api_keys import ApiKeys
from domain.roles import PERMISSIONS, Role


@pytest.fixture
def keys(db, box):
    return ApiKeys(db, box)


@pytest.fixture
def admin(keys, tenant):
    return {"Authorization": f"Bearer {keys.issue(tenant.tenant, name='admin', roles=['tenant_admin'])}"}


def works(server, key: str) -> int:
    return server.get("/v1/recipients/r/consents", headers={"X-API-Key": key}).status_code


def issue(server, admin, **body):
    return server.post("/v1/admin/keys", json={"name": "app", **body}, headers=admin)


def trail(api, action) -> list:
    return api.get("/v1/audit", params={"action": action}).json()["entries"]


def test_a_key_with_a_role_may_do_what_the_role_says(server, admin):
    answer = issue(server, admin, roles=["application"])
    assert answer.status_code == 201
    assert works(server, answer.json()["key"]) == 200
    assert works(server, issue(server, admin, roles=["marketer"]).json()["key"]) == 403
    assert works(server, issue(server, admin, scopes=["consents:read"]).json()["key"]) == 200


def test_the_list_shows_every_key_and_never_the_key(server, admin):
    made = issue(server, admin, roles=["analyst"]).json()
    answer = server.get("/v1/admin/keys", headers=admin)
    (shown,) = [each for each in answer.json()["keys"] if each["prefix"] == made["prefix"]]
    assert (shown["name"], shown["roles"], shown["scopes"]) == ("app", ["analyst"], [])
    assert made["key"].split("_", 2)[2] not in answer.text


def test_roles_are_listed_with_their_permissions(server, admin):
    told = server.get("/v1/admin/roles", headers=admin).json()["roles"]
    assert {each["role"]: set(each["permissions"]) for each in told} == PERMISSIONS


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, ""),
        ({"roles": ["emperor"]}, "roles.0"),
        ({"scopes": ["event:write"]}, "scopes.0"),
        ({"scopes": ["*"]}, ""),
        ({"roles": ["platform_admin"]}, ""),
        ({"scopes": ["tenants:write"]}, ""),
        ({"roles": ["analyst"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"roles": ["analyst"], "name": ""}, "name"),
    ],
)
def test_a_key_that_may_not_be_is_refused_with_the_field_and_not_kept(server, admin, keys, tenant, body, place):
    answer = issue(server, admin, **body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, place), answer.text
    assert len(keys.all(tenant.tenant)) == 1


def test_a_revoked_key_is_refused_by_the_next_request(server, admin):
    made = issue(server, admin, roles=["application"]).json()
    assert works(server, made["key"]) == 200
    assert server.delete(f"/v1/admin/keys/{made['prefix']}", headers=admin).status_code == 204
    assert works(server, made["key"]) == 401
    assert server.delete(f"/v1/admin/keys/{made['prefix']}", headers=admin).status_code == 404


def test_a_rotated_key_works_beside_its_successor_until_the_overlap_ends(server, admin, keys):
    made = issue(server, admin, roles=["application"]).json()
    address = f"/v1/admin/keys/{made['prefix']}/rotate"
    successor = server.post(address, json={"overlap_seconds": 3600}, headers=admin).json()
    assert [works(server, each["key"]) for each in (made, successor)] == [200, 200]
    later = datetime.now(UTC) + timedelta(seconds=3601)
    assert keys.find(made["key"], now=later) is None
    assert keys.find(successor["key"], now=later).scopes == keys.find(successor["key"], now=datetime.now(UTC)).scopes
    assert server.post(address, json={"overlap_seconds": 0}, headers=admin).status_code == 201
    assert works(server, made["key"]) == 401
    assert server.post(address, json={}, headers=admin).status_code == 404


def test_a_successor_lives_as_long_as_the_old_one_did(keys, tenant):
    now = datetime.now(UTC)
    old = keys.issue(tenant.tenant, name="short", roles=["analyst"], expires_at=now + timedelta(hours=1))
    new = keys.rotate(tenant.tenant, old.split("_")[1], overlap=timedelta(days=9), at=now)
    assert keys.find(old, now=now + timedelta(minutes=59)) is not None
    assert keys.find(old, now=now + timedelta(hours=1)) is None
    assert keys.find(new, now=now + timedelta(minutes=59)) is not None
    assert keys.find(new, now=now + timedelta(hours=1, minutes=1)) is None


def test_what_is_done_with_keys_is_in_the_trail(server, api, admin):
    made = issue(server, admin, roles=["application"]).json()
    works(server, made["key"])
    works(server, made["key"])
    server.post(f"/v1/admin/keys/{made['prefix']}/rotate", json={}, headers=admin)
    server.delete(f"/v1/admin/keys/{made['prefix']}", headers=admin)
    works(server, made["key"])
    works(server, made["key"])
    name = f"key:{made['prefix']}"
    for action in ("key.issued", "key.used", "key.rotated", "key.revoked", "key.refused"):
        assert [each["object"] for each in trail(api, action)].count(name) == 1, action
    (refused,) = [each for each in trail(api, "key.refused") if each["object"] == name]
    assert refused["reason"] == "revoked"
    (issued,) = [each for each in trail(api, "key.issued") if each["object"] == name]
    assert issued["detail"] == {"scopes": [], "roles": ["application"]}


def test_guesses_at_a_key_are_told_once_a_minute(keys, api, key, tenant):
    now = datetime.now(UTC)
    forged = key[:-1] + ("A" if key[-1] != "A" else "B")
    for seconds in (0, 1, 59, 60, 61):
        assert keys.find(forged, now=now + timedelta(seconds=seconds)) is None
    assert [each["reason"] for each in trail(api, "key.refused")] == ["forged", "forged"]


def test_a_platform_administrator_creates_a_tenant_and_its_administrator_issues_keys(server, keys, tenant):
    platform = {"X-API-Key": keys.issue(tenant.tenant, name="platform", roles=[Role.PLATFORM_ADMIN.value])}
    name = f"{tenant.tenant}-new"
    made = server.post("/v1/admin/tenants", json={"tenant": name, "display_name": "New"}, headers=platform)
    assert made.status_code == 201
    listed = server.get("/v1/admin/tenants", headers=platform).json()["tenants"]
    assert {name, tenant.tenant} <= {each["tenant"] for each in listed}
    admin = {"X-API-Key": made.json()["key"]}
    assert works(server, made.json()["key"]) == 403
    auditor = issue(server, admin, roles=["privacy_officer"]).json()["key"]
    trail = server.get("/v1/audit", headers={"X-API-Key": auditor}).json()["entries"]
    assert trail[-1]["action"] == "tenant.created"
    again = server.post("/v1/admin/tenants", json={"tenant": name, "display_name": "New"}, headers=platform)
    assert (again.status_code, again.json()["code"]) == (409, "tenant.exists")


def test_everything_ends_at_the_tenants_border(api):
    assert api.get("/v1/admin/tenants").status_code == 403
