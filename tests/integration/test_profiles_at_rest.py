"""Profiles as they lie in PostgreSQL: sealed, bound to their row and version, and readable after an upgrade."""

import psycopg
import pytest
from sqlalchemy import insert, select, text, update

from adapters.keyring import Keyring
from adapters.postgres import profiles as stored_profiles
from adapters.postgres import subject_keys
from adapters.postgres.engine import Database
from adapters.postgres.migrate import _plain, migrate
from adapters.postgres.profiles import Profiles, UnknownRecipient
from adapters.postgres.schema import metadata
from adapters.postgres.tables import audit, profile
from adapters.secrets import CannotOpen
from domain.profiles import Profile, ProfilePatch
from domain.tenants import Tenant
from tests.api import KEYS

VIP = Profile(locale="fr", country="FR", attributes={"nickname": "canary-1234"})


def row_of(db, tenant, recipient="r"):
    with db.tenant(tenant.tenant) as connection:
        return connection.execute(select(profile).where(profile.c.recipient_id == recipient)).one()


def test_nothing_personal_lies_in_the_database_in_clear(db, databases, tenant):
    Profiles(db).put(tenant, "r", VIP, actor="test", reason="told us")
    Profiles(db).put_many(tenant, {"s": VIP}, actor="test")
    tables = [table.name for table in metadata.sorted_tables]
    # As the superuser, who sees every table whatever is granted to whom.
    admin = Database(databases.server.set(database=databases.database).render_as_string(hide_password=False))
    with admin.begin() as connection:
        dump = [str(connection.execute(text(f"SELECT string_agg(t::text, '|') FROM {n} t")).scalar()) for n in tables]
    admin.close()
    assert any("profile.written" in rows for rows in dump)
    assert [name for name, rows in zip(tables, dump, strict=True) if "canary-1234" in rows] == []
    assert Profiles(db).get(tenant, "r", actor="test").profile == VIP
    assert Profiles(db).get(tenant, "s", actor="test").profile == VIP


def test_a_document_opens_in_its_own_row_and_version_only(db, tenant):
    for recipient in ("r", "s"):
        Profiles(db).put(tenant, recipient, VIP, actor="test")
    document = row_of(db, tenant).document
    Profiles(db).put(tenant, "r", Profile(), actor="test")
    for recipient in ("r", "s"):
        with db.tenant(tenant.tenant) as connection:
            connection.execute(update(profile).where(profile.c.recipient_id == recipient).values(document=document))
        with pytest.raises(CannotOpen):
            Profiles(db).get(tenant, recipient, actor="test")


def test_a_change_leaves_its_old_and_new_value_in_the_trail(db, tenant):
    Profiles(db).put(tenant, "r", VIP, actor="test")
    Profiles(db).patch(tenant, "r", ProfilePatch(country="CH"), actor="test", reason="moved")
    with db.tenant(tenant.tenant) as connection:
        rows = connection.execute(select(audit).order_by(audit.c.audit_id)).all()
        opened = [
            subject_keys.of(connection).open(
                connection, tenant, "r", table="audit", column="values_sealed",
                version=f"{row.action}|{row.object}", sealed=row.values_sealed,
            )
            for row in rows
        ]  # fmt: skip
    assert [row.reason for row in rows] == [None, "moved"]
    assert b'"old": null' in opened[0]
    assert b'"country": "CH"' in opened[1].split(b'"old"')[0]
    assert b'"country": "FR"' in opened[1].split(b'"old"')[1]


def test_the_profile_of_an_erased_subject_is_gone_and_stays_so(db, tenant):
    Profiles(db).put(tenant, "r", VIP, actor="test")
    with db.tenant(tenant.tenant) as connection:
        subject_keys.of(connection).destroy(connection, tenant, "r")
        assert stored_profiles.read(connection, tenant, ["r"]) == {}
    for change in (
        lambda: Profiles(db).get(tenant, "r", actor="test"),
        lambda: Profiles(db).put(tenant, "r", VIP, actor="test"),
        lambda: Profiles(db).patch(tenant, "r", ProfilePatch(country="CH"), actor="test"),
    ):
        with pytest.raises(UnknownRecipient):
            change()


def test_profiles_from_before_they_were_sealed_are_read_and_sealed_when_written(postgres, databases):
    name = "kairos_before_sealing"
    with psycopg.connect(_plain(postgres.admin_url), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} OWNER kairos_owner")
    migrate(postgres.admin_url, name, "subject_keys")
    url = databases.server.set(
        database=name, username=databases.app_role.user, password=databases.app_role.password
    ).render_as_string(hide_password=False)
    database = Database(url, keyring=Keyring.given(KEYS))
    tenant = Tenant(tenant="old", display_name="old", subject_secret=b"s" * 32)
    with database.tenant("old") as connection:
        connection.execute(
            text(
                "INSERT INTO profile (tenant, recipient_id, version, locale, country, time_zone, time_zone_source, "
                "time_zone_confidence, reachability, attributes) VALUES ('old', 'r', 3, 'fr', NULL, 'Europe/Paris', "
                "'device', 0.5, '{\"email\": {\"reachable\": false}}', '{\"vip\": true}')"
            )
        )
    migrate(postgres.admin_url, name)
    before = Profiles(database).get(tenant, "r", actor="test")
    assert before.version == 3
    assert before.profile.model_dump(mode="json", exclude_unset=True) | {"country": None} == {
        "locale": "fr",
        "country": None,
        "time_zone": {"name": "Europe/Paris", "source": "device", "confidence": 0.5},
        "channels": {"email": {"reachable": False}},
        "attributes": {"vip": True},
    }
    Profiles(database).patch(tenant, "r", ProfilePatch(locale="de"), actor="test")
    assert row_of(database, tenant).unsealed is None
    assert Profiles(database).get(tenant, "r", actor="test").profile.attributes == {"vip": True}
    database.close()


def test_a_row_without_a_document_is_an_empty_profile(db, tenant):
    with db.tenant(tenant.tenant) as connection:
        connection.execute(insert(profile).values(tenant=tenant.tenant, recipient_id="r", version=1))
        assert stored_profiles.read(connection, tenant, ["r"])["r"].profile == Profile()
