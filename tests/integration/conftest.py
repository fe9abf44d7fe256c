"""Servers of their own for the tests of the stream, which empty, stop and kill them; places of personal data."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from adapters.embedded.postgres import start_postgres
from adapters.embedded.valkey import EmbeddedValkey, start_valkey
from adapters.keyring import Keyring
from adapters.lake import Lake
from adapters.postgres.engine import Database
from adapters.postgres.migrate import prepare
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.redis.client import connect
from adapters.secrets import SecretBox
from adapters.settings import Settings
from tests.stream_world import KEY, World


@pytest.fixture(scope="session")
def stream_databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseUrls]:
    folder = tmp_path_factory.mktemp("stream-postgres")
    with start_postgres(folder / "data", log=folder / "log") as server:
        urls = DatabaseUrls.embedded(server.admin_url, SecretBox.of(Settings(secret_key=KEY)))
        prepare(server.admin_url, urls)
        yield urls
        server.discard()


@pytest.fixture(scope="session")
def stream_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    folder = tmp_path_factory.mktemp("stream-valkey")
    with start_valkey(folder / "data", log=folder / "log") as server:
        yield server


@pytest.fixture
def world(stream_databases: DatabaseUrls, stream_valkey: EmbeddedValkey, tmp_path: Path) -> Iterator[World]:
    """A fresh tenant, its features registered, and an empty Valkey."""
    box = SecretBox.of(Settings(secret_key=KEY))
    database = Database(stream_databases.app, keyring=Keyring.of(Settings(data_dir=tmp_path)))
    name = f"t{secrets.token_hex(6)}"
    tenant = Tenants(database, box).create(name, display_name=name, time_zone="UTC", is_sandbox=True)[0]
    with connect(stream_valkey.url, timeout_ms=2000) as client:
        client.flushall()
    world = World(tmp_path, stream_databases, database, box, tenant, stream_valkey)
    world.store.apply()
    yield world
    world.close()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake of the test's own."""
    return Lake(tmp_path / "lake")


@pytest.fixture
def redis(valkey: EmbeddedValkey) -> Iterator[Redis]:
    """A connection to the server all tests share."""
    with connect(valkey.url, timeout_ms=2000) as client:
        yield client
