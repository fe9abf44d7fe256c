"""New data keys on a real PostgreSQL: what can be written again is, whatever happens meanwhile."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from adapters.postgres import subject_keys
from adapters.postgres.audit_trail import AuditTrail, Wanted
from adapters.postgres.data_key_rotation import DataKeyRotation
from adapters.postgres.profiles import Profiles
from adapters.postgres.subject_key_tables import subject_data_key
from adapters.postgres.tables import profile
from domain.profiles import Profile

VIP = Profile(country="FR", attributes={"vip": True})
RECIPIENTS = [f"r{number}" for number in range(12)]


@pytest.fixture
def old_profiles(db, tenant):
    """Twelve profiles, sealed a year ago."""
    Profiles(db).put_many(tenant, dict.fromkeys(RECIPIENTS, VIP), actor="test")
    with db.tenant(tenant.tenant) as connection:
        connection.execute(text("UPDATE subject_data_key SET created_at = created_at - interval '1 year'"))


def key_ids(db, tenant) -> dict[str, str]:
    with db.tenant(tenant.tenant) as connection:
        rows = connection.execute(select(profile.c.recipient_id, profile.c.document))
        return {row.recipient_id: bytes(row.document)[1:9].hex() for row in rows}


def a_month_ago() -> datetime:
    return datetime.now(UTC) - timedelta(days=30)


def test_what_old_keys_sealed_is_sealed_under_new_ones_and_everything_opens(db, tenant, old_profiles):
    before, rotation = key_ids(db, tenant), DataKeyRotation(db)
    assert rotation.left(tenant, made_before=a_month_ago()) == 12
    assert list(rotation.renew(tenant, made_before=a_month_ago(), batch=5)) == [5, 5, 2]
    assert rotation.left(tenant, made_before=a_month_ago()) == 0
    assert not set(before.values()) & set(key_ids(db, tenant).values())
    assert [Profiles(db).get(tenant, each, actor="test").profile for each in RECIPIENTS] == [VIP] * 12
    # The trail is never written again: its values open with the old keys, which seal nothing new.
    assert AuditTrail(db).page(tenant, Wanted(recipient_id="r0", action="profile.imported"), limit=1, actor="t")[0].new
    with db.tenant(tenant.tenant) as connection:
        retired = connection.execute(
            select(subject_data_key.c.key_id).where(subject_data_key.c.retired_at.is_not(None))
        )
        assert set(retired.scalars()) == set(before.values())


def test_one_that_was_interrupted_goes_on_where_it_was(db, tenant, old_profiles):
    rotation = DataKeyRotation(db)
    next(rotation.renew(tenant, made_before=a_month_ago(), batch=5))
    done = key_ids(db, tenant)
    assert rotation.left(tenant, made_before=a_month_ago()) == 7
    assert list(rotation.renew(tenant, made_before=a_month_ago(), batch=5)) == [5, 2]
    assert [done[each] for each in sorted(done)[:5]] == [key_ids(db, tenant)[each] for each in sorted(done)[:5]]


def test_young_keys_are_left_alone(db, tenant):
    Profiles(db).put(tenant, "r", VIP, actor="test")
    before = key_ids(db, tenant)
    assert list(DataKeyRotation(db).renew(tenant, made_before=a_month_ago())) == []
    assert key_ids(db, tenant) == before


def test_a_row_a_writer_holds_is_left_to_the_next_time(db, tenant, old_profiles):
    rotation = DataKeyRotation(db)
    with db.tenant(tenant.tenant) as writing:
        writing.execute(select(profile).where(profile.c.recipient_id == "r3").with_for_update())
        assert sum(rotation.renew(tenant, made_before=a_month_ago())) == 11
    assert sum(rotation.renew(tenant, made_before=a_month_ago())) == 1


def test_an_erased_persons_value_is_not_sealed_again(db, tenant, old_profiles):
    with db.tenant(tenant.tenant) as connection:
        subject_keys.of(connection).destroy(connection, tenant, "r3")
    assert sum(DataKeyRotation(db).renew(tenant, made_before=a_month_ago())) == 11
    with db.tenant(tenant.tenant) as connection:
        assert subject_keys.of(connection).is_destroyed(connection, tenant, "r3")
