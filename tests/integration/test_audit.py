"""Audit rows on a real PostgreSQL: reason, way and values of a change, and what erasure leaves of them."""

import json

import pytest
from sqlalchemy import select

from adapters.postgres import audit, subject_keys
from adapters.postgres.audit import AuditEntry
from adapters.postgres.tables import audit as trail
from adapters.secrets import CannotOpen

CHANGED = AuditEntry(
    action="profile.written",
    actor="key:1",
    object="profile",
    recipient_id="r-1",
    reason="asked by telephone",
    old={"country": "FR"},
    new={"country": "Ruritania"},
    context={"law": "GDPR 16"},
)


def written(db, tenant, *entries: AuditEntry) -> list:
    with db.tenant(tenant.tenant) as connection:
        audit.write(connection, tenant, entries)
    with db.tenant(tenant.tenant) as connection:
        return list(connection.execute(select(trail).order_by(trail.c.audit_id)))


def values(db, tenant, entry: AuditEntry, sealed: bytes) -> dict:
    with db.tenant(tenant.tenant) as connection:
        keys = subject_keys.of(connection)
        opened = keys.open_many(connection, tenant, [(audit._place(entry), sealed)])[0]
    return json.loads(opened) if opened is not None else None


def test_a_change_keeps_its_reason_its_way_and_its_values_sealed(db, tenant):
    with audit.arriving(request_id="q-1"):
        (row,) = written(db, tenant, CHANGED)
    assert (row.reason, row.context) == ("asked by telephone", {"request_id": "q-1", "law": "GDPR 16"})
    assert "Ruritania" not in str(row)
    assert b"Ruritania" not in bytes(row.values_sealed)
    assert values(db, tenant, CHANGED, row.values_sealed) == {
        "old": {"country": "FR"},
        "new": {"country": "Ruritania"},
    }


def test_a_row_without_values_seals_nothing_and_the_way_ends_with_its_block(db, tenant):
    with audit.arriving(request_id="q-1"):
        assert audit.context() == {"request_id": "q-1"}
    (row,) = written(db, tenant, AuditEntry(action="decision.read", actor="key:1", object="decision:1"))
    assert (row.reason, row.values_sealed, row.context, row.subject_key) == (None, None, {}, None)


def test_values_open_for_their_own_action_and_object_only(db, tenant):
    (row,) = written(db, tenant, CHANGED)
    with pytest.raises(CannotOpen):
        values(db, tenant, CHANGED.model_copy(update={"object": "consent"}), row.values_sealed)


def test_erasure_leaves_the_row_and_takes_the_values(db, tenant):
    (before,) = written(db, tenant, CHANGED)
    with db.tenant(tenant.tenant) as connection:
        subject_keys.of(connection).destroy(connection, tenant, "r-1")
    first, second = written(db, tenant, CHANGED)
    assert first == before
    assert values(db, tenant, CHANGED, first.values_sealed) is None
    assert second.values_sealed is None


def test_values_that_belong_to_no_recipient_are_kept_under_the_tenants_own_key(db, tenant):
    entry = AuditEntry(action="tenant.clock_set", actor="cli", object="tenant", old=0.0, new=3600.0)
    (row,) = written(db, tenant, entry)
    assert values(db, tenant, entry, row.values_sealed) == {"old": 0.0, "new": 3600.0}
