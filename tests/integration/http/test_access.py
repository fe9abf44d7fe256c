"""Who may do what: one valid key, its tenant, its permissions; and no route without a declaration."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import APIRouter
from fastapi.routing import iter_route_contexts

from adapters.postgres.api_keys import ApiKeys
from serving.http import app as module
from serving.http.app import build_app
from serving.http.auth import Required, UndeclaredRoute, dependencies, permission, public

UNREADABLE = {"content": b"{", "headers": {"content-type": "application/json"}}


@pytest.fixture
def keys(db, box):
    return ApiKeys(db, box)


def status(server, **headers):
    return server.post("/v1/events", content=b"{", headers={"content-type": "application/json", **headers}).status_code


def test_a_key_is_taken_from_either_header(server, key):
    assert status(server, Authorization=f"Bearer {key}") == 400
    assert status(server, **{"X-API-Key": key}) == 400


def test_without_one_valid_key_nothing_is_read(server, key, keys, tenant):
    revoked = keys.issue(tenant.tenant, name="old")
    keys.revoke(tenant.tenant, revoked.split("_")[1], at=datetime.now(UTC))
    expired = keys.issue(tenant.tenant, name="old", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    forged = key[:-1] + ("A" if key[-1] != "A" else "B")
    for given in ("", "kai_", forged, revoked, expired, f"{key}x", key.upper(), "x" * 5_000):
        assert status(server, **{"X-API-Key": given}) == 401, given[:20]
    assert status(server, Authorization=f"Basic {key}") == 401
    assert status(server, Authorization=f"Bearer {key}", **{"X-API-Key": key}) == 401
    answer = server.post("/v1/events", **UNREADABLE)
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="kairos"'


def test_a_key_in_the_address_is_no_credential(server, key):
    assert server.post(f"/v1/events?api_key={key}&access_token={key}", **UNREADABLE).status_code == 401


@pytest.mark.parametrize("name", ["api_key", "apiKey", "X-API-Key", "access_token", "Authorization", "q"])
def test_a_key_in_the_address_is_refused_beside_a_valid_one_too(server, key, name):
    path = "/v1/recipients/r-1/profile"
    answer = server.get(path, params={name: key}, headers={"X-API-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "auth.credential_in_address")
    assert key.split("_", 2)[2] not in answer.text
    assert server.get(path, params={"q": "kai_"}, headers={"X-API-Key": key}).status_code == 404


def test_a_signed_token_in_the_address_is_refused_beside_a_valid_key_too(server, key, signer):
    token = signer.of("analyst")
    answer = server.get("/v1/recipients/r-1/profile", params={"next": token}, headers={"X-API-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "auth.credential_in_address")


def test_a_key_without_the_permission_is_told_which_one(server, keys, tenant):
    narrow = keys.issue(tenant.tenant, name="narrow", scopes=("decisions:read",))
    answer = server.post("/v1/events", content=b"{}", headers={"X-API-Key": narrow})
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")
    assert "events:write" in answer.json()["detail"]


def test_every_route_below_v1_needs_a_permission():
    for context in iter_route_contexts(build_app(contextlib.nullcontext).routes):
        calls = list(dependencies(context))
        is_public = any(call is public for call in calls)
        assert str(context.path).startswith("/v1/") != is_public, context.path
        assert is_public or any(isinstance(call, Required) for call in calls)


def test_an_application_with_an_undeclared_route_does_not_start(monkeypatch):
    forgetful = APIRouter()
    forgetful.add_api_route("/v1/forgotten", lambda: None)
    monkeypatch.setattr(module, "ROUTERS", (*module.ROUTERS, forgetful))
    with pytest.raises(UndeclaredRoute, match="/v1/forgotten"):
        build_app(contextlib.nullcontext)


def test_a_permission_that_does_not_exist_cannot_be_declared():
    with pytest.raises(ValueError, match="event:write"):
        permission("event:write")
