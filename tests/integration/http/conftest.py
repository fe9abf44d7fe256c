"""The API as it is really wired, on the tests' PostgreSQL, with every other server down."""

from collections.abc import Iterator

import httpx
import pytest

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.engine import Database
from adapters.postgres.roles import DatabaseUrls
from adapters.secrets import SecretBox
from domain.tenants import Tenant
from serving.wiring import open_parts
from tests.api import serve, settings_for


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, databases: DatabaseUrls, box: SecretBox) -> Iterator[httpx.Client]:
    """A client without credentials."""
    settings = settings_for(tmp_path_factory.mktemp("api"), databases, box)
    with serve(lambda: open_parts(settings)) as client:
        yield client


@pytest.fixture
def key(db: Database, box: SecretBox, tenant: Tenant) -> str:
    return ApiKeys(db, box).issue(tenant.tenant, name="test")


@pytest.fixture
def api(server: httpx.Client, key: str) -> Iterator[httpx.Client]:
    """A client with a key of the test's own tenant."""
    with httpx.Client(
        base_url=server.base_url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False
    ) as client:
        yield client
