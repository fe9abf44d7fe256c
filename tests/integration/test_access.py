"""Tenants and keys on a real PostgreSQL: found by their key, refused from the moment they are revoked."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from sqlalchemy import select, text

from adapters.clock import Clock
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.engine import Unavailable
from adapters.postgres.tables import api_key
from adapters.postgres.tenants import Tenants, UnknownTenant

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_a_key_finds_its_tenant_and_scopes(db, box, tenant):
    keys = ApiKeys(db, box)
    found = keys.find(keys.issue(tenant.tenant, name="app", scopes=["events:write"]), now=NOW)
    assert (found.tenant, found.name, found.scopes) == (tenant.tenant, "app", ("events:write",))


def test_only_a_keyed_hash_is_kept(db, box, tenant):
    key = ApiKeys(db, box).issue(tenant.tenant, name="app")
    with db.tenant(tenant.tenant) as connection:
        row = connection.execute(select(api_key)).one()
    assert key.rsplit("_", 1)[1] not in str(row)


@pytest.mark.parametrize(
    "spoil", [lambda k: k[:-1], lambda k: k + "x", lambda k: k[:-1] + ("a" if k[-1] != "a" else "b")]
)
def test_a_changed_key_is_nobodys(db, box, tenant, spoil):
    keys = ApiKeys(db, box)
    assert keys.find(spoil(keys.issue(tenant.tenant, name="app")), now=NOW) is None


def test_a_revoked_key_is_refused_at_once_and_revoked_once(db, box, tenant):
    keys = ApiKeys(db, box)
    key = keys.issue(tenant.tenant, name="app")
    prefix = keys.find(key, now=NOW).prefix
    assert keys.revoke(tenant.tenant, prefix, at=NOW)
    assert keys.find(key, now=NOW) is None
    assert not keys.revoke(tenant.tenant, prefix, at=NOW)


def test_a_key_ends_exactly_at_its_expiry(db, box, tenant):
    keys = ApiKeys(db, box)
    key = keys.issue(tenant.tenant, name="app", expires_at=NOW)
    assert keys.find(key, now=NOW - timedelta(microseconds=1)) is not None
    assert keys.find(key, now=NOW) is None


def test_another_tenant_cannot_revoke_a_key(db, box, tenant):
    keys = ApiKeys(db, box)
    key = keys.issue(tenant.tenant, name="app")
    other, _ = Tenants(db, box).create("other-tenant", display_name="Other")
    assert not keys.revoke(other.tenant, keys.find(key, now=NOW).prefix, at=NOW)


def test_creating_a_tenant_twice_keeps_its_secret(db, box, tenant):
    again, is_new = Tenants(db, box).create(tenant.tenant, display_name="again")
    assert not is_new
    assert again.subject_secret == tenant.subject_secret


def test_a_sandbox_clock_moves_for_that_tenant_only(db, box, tenant):
    tenants = Tenants(db, box)
    other, _ = tenants.create("steady-tenant", display_name="Steady", is_sandbox=True)
    shifted = tenants.shift_clock(tenant.tenant, -3600)
    clock = Clock(lambda: NOW)
    assert clock.now(shifted) == NOW - timedelta(hours=1)
    assert clock.now(tenants.get(other.tenant)) == NOW
    assert clock.real() == NOW


def test_a_real_tenants_clock_cannot_be_moved(db, box):
    tenants = Tenants(db, box)
    tenants.create("real-tenant", display_name="Real")
    with pytest.raises(ValidationError, match="sandbox"):
        tenants.shift_clock("real-tenant", 60)
    assert tenants.get("real-tenant").clock_offset_seconds == 0


def test_a_zone_that_does_not_exist_is_refused(db, box):
    with pytest.raises(ValidationError, match="time zone"):
        Tenants(db, box).create("lost-tenant", display_name="Lost", time_zone="Mars/Olympus")
    with pytest.raises(UnknownTenant):
        Tenants(db, box).get("lost-tenant")


def dies(*_: object) -> str:
    raise KeyboardInterrupt


def test_a_crash_before_the_first_key_leaves_no_tenant_and_the_next_try_makes_both(db, box):
    tenants, keys = Tenants(db, box), ApiKeys(db, box)
    with pytest.raises(KeyboardInterrupt):
        tenants.create_with_key("half-made", dies, display_name="Half", actor="owner")
    with pytest.raises(UnknownTenant):
        tenants.get("half-made")
    made, key = tenants.create_with_key(
        "half-made", lambda: keys.issue("half-made", name="first"), display_name="Half", actor="owner"
    )
    assert keys.find(key, now=NOW).tenant == made.tenant == "half-made"


def test_a_connection_that_dies_after_the_key_was_written_leaves_neither(db, box):
    tenants, keys = Tenants(db, box), ApiKeys(db, box)
    issued = []

    def issue_and_lose_the_server() -> str:
        issued.append(keys.issue("cut-off", name="first"))
        with db.tenant("cut-off") as connection:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return issued[0]

    with pytest.raises(Unavailable):
        tenants.create_with_key("cut-off", issue_and_lose_the_server, display_name="Cut off")
    assert keys.find(issued[0], now=NOW) is None
    with pytest.raises(UnknownTenant):
        tenants.get("cut-off")


def test_a_tenant_that_exists_gets_no_further_key(db, box, tenant):
    tenants, keys = Tenants(db, box), ApiKeys(db, box)
    before = keys.all(tenant.tenant)
    assert tenants.create_with_key(tenant.tenant, dies, display_name="again") == (tenants.get(tenant.tenant), None)
    assert keys.all(tenant.tenant) == before
