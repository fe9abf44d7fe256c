"""The schema: what the migrations make is what the code believes, and tenants cannot see each other."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, inspect, select, text
from sqlalchemy.exc import ProgrammingError

from adapters.postgres.engine import Database
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.schema import APPEND_ONLY, metadata
from adapters.postgres.tables import profile
from domain.tenants import Tenant


def test_the_migrations_make_exactly_the_tables_the_code_knows(databases):
    admin = Database(str(databases.server.set(database=databases.database).render_as_string(hide_password=False)))
    with admin.begin() as connection:
        partitions = {
            name for (name,) in connection.execute(text("SELECT relid::regclass::text FROM pg_partition_tree('event')"))
        }
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _: (
                    kind != "table" or name not in (partitions - {"event"}) | {"alembic_version"}
                )
            },
        )
        assert compare_metadata(context, metadata) == []
    admin.close()


def test_preparing_a_prepared_server_changes_nothing(postgres, databases, tenant, db):
    prepare(postgres.admin_url, databases)
    with db.tenant(tenant.tenant) as connection:
        assert connection.execute(text("SELECT count(*) FROM tenant")).scalar_one() == 1


def test_every_table_forces_row_level_security_and_belongs_to_a_role_nobody_logs_in_as(batch_db):
    with batch_db.begin() as connection:
        rows = connection.execute(
            text(
                "SELECT relname, relrowsecurity AND relforcerowsecurity, pg_get_userbyid(relowner) FROM pg_class "
                "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
            )
        ).all()
    known = {name: (forced, owner) for name, forced, owner in rows if name != "alembic_version"}
    assert set(known) == {table.name for table in metadata.sorted_tables}
    assert set(known.values()) == {(True, "kairos_owner")}


def test_tenant_is_first_in_every_primary_key():
    assert {table.primary_key.columns[0].name for table in metadata.sorted_tables} == {"tenant"}


@pytest.mark.parametrize("table", [table.name for table in metadata.sorted_tables])
def test_a_connection_that_forgot_its_tenant_sees_nothing(db: Database, tenant: Tenant, table: str):
    with db.begin() as connection:
        assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0


def test_a_row_cannot_be_written_for_another_tenant(db, tenant):
    row = {"tenant": "somebody-else", "recipient_id": "r-1", "version": 1}
    with pytest.raises(ProgrammingError, match="row-level security"), db.tenant(tenant.tenant) as connection:
        connection.execute(insert(profile).values(row))


def test_the_tenant_of_one_transaction_is_forgotten_by_the_next(db, tenant):
    with db.tenant(tenant.tenant) as connection:
        connection.execute(insert(profile).values(tenant=tenant.tenant, recipient_id="r-1", version=1))
    with db.begin() as connection:
        assert connection.execute(select(profile)).all() == []


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET tenant = tenant"])
def test_what_is_recorded_cannot_be_changed_by_the_application(db, tenant, table, statement):
    with pytest.raises(ProgrammingError, match="permission denied"), db.tenant(tenant.tenant) as connection:
        connection.execute(text(statement.format(table)))


def test_the_assets_role_reads_every_tenant_and_writes_none(db, batch_db, tenant):
    with db.tenant(tenant.tenant) as connection:
        connection.execute(insert(profile).values(tenant=tenant.tenant, recipient_id="r-1", version=1))
    with batch_db.begin() as connection:
        query = select(profile.c.recipient_id).where(profile.c.tenant == tenant.tenant)
        assert connection.execute(query).scalars().all() == ["r-1"]
        assert connection.execute(text("SELECT current_setting('default_transaction_isolation')")).scalar_one()
    with pytest.raises(ProgrammingError, match="permission denied"), batch_db.begin() as connection:
        connection.execute(text("DELETE FROM profile"))


def test_the_platform_cannot_reach_our_tables(databases: DatabaseUrls):
    url = databases.server.set(
        username=databases.platform_role.user, password=databases.platform_role.password, database=databases.database
    )
    platform = Database(url.render_as_string(hide_password=False))
    with platform.begin() as connection:
        assert "event" in inspect(connection).get_table_names()
    with pytest.raises(ProgrammingError, match="permission denied"), platform.begin() as connection:
        connection.execute(text("SELECT count(*) FROM event"))
    platform.close()


def test_an_event_partition_is_made_once_by_a_role_that_may_not_create_tables(db):
    for _ in range(2):
        with db.begin() as connection:
            connection.execute(text("SELECT kairos_make_event_partition(DATE '2031-02-03')"))
    with db.begin() as connection:
        assert "event_20310203" in {name for (name,) in connection.execute(text("SELECT relname FROM pg_class"))}
    with pytest.raises(ProgrammingError, match="permission denied"), db.begin() as connection:
        connection.execute(text("CREATE TABLE mine (id int)"))
