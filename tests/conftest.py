"""Fixtures shared by all: real servers once per session, a fresh tenant per test."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.clock import Clock
from adapters.embedded.postgres import EmbeddedPostgres, start_postgres
from adapters.embedded.valkey import EmbeddedValkey, start_valkey
from adapters.keyring import Keyring
from adapters.postgres.engine import Database
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from adapters.settings import Settings
from domain.tenants import Tenant
from tests.api import KEYS
from tests.owner import as_owner


@pytest.fixture(scope="session")
def box() -> SecretBox:
    return SecretBox(secrets.token_bytes(32))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A real PostgreSQL, empty; tests that kill theirs start their own, this one need not survive a crash."""
    folder = tmp_path_factory.mktemp("postgres")
    server = start_postgres(folder / "data", log=folder / "postgres.log")
    with as_owner(server.admin_url, database="postgres") as connection:
        connection.execute("ALTER SYSTEM SET synchronous_commit = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server
    server.discard()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """A real Valkey, empty; tests keep apart by their tenant."""
    folder = tmp_path_factory.mktemp("valkey")
    server = start_valkey(folder / "data", log=folder / "valkey.log")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def databases(postgres: EmbeddedPostgres, box: SecretBox) -> DatabaseUrls:
    """The connections to a migrated server."""
    urls = DatabaseUrls.embedded(postgres.admin_url, box)
    prepare(postgres.admin_url, urls)
    return urls


@pytest.fixture(scope="session")
def db(databases: DatabaseUrls) -> Iterator[Database]:
    """The application's database, as its own role sees it."""
    database = Database(databases.app, keyring=Keyring.given(KEYS))
    yield database
    database.close()


@pytest.fixture(scope="session")
def batch_db(databases: DatabaseUrls) -> Iterator[Database]:
    """The same database as the assets see it: every tenant, read only."""
    database = Database(databases.batch)
    yield database
    database.close()


@pytest.fixture
def tenant(db: Database, box: SecretBox) -> Tenant:
    """A tenant nobody else has."""
    name = f"t{secrets.token_hex(6)}"
    return Tenants(db, box).create(name, display_name=name, time_zone="America/New_York", is_sandbox=True)[0]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()
