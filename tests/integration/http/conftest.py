"""The API as it is really wired, on the tests' PostgreSQL, with every other server down."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from adapters.embedded.postgres import EmbeddedPostgres
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.engine import Database
from adapters.postgres.roles import DatabaseUrls
from adapters.secrets import SecretBox
from domain.tenants import Tenant
from serving.wiring import open_parts
from tests.api import serve, settings_for
from tests.owner import as_owner
from tests.tokens import Signer, write_issuers


@pytest.fixture(scope="session")
def issuers_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service's file of issuers, which has none until a test adds its own."""
    path = tmp_path_factory.mktemp("issuers") / "issuers.json"
    write_issuers(path, [])
    return path


@pytest.fixture
def signer(issuers_file: Path, tenant: Tenant) -> Iterator[Signer]:
    """An issuer whose tokens the service takes for the test's own tenant."""
    signer = Signer(tenant.tenant)
    write_issuers(issuers_file, [signer.entry()])
    yield signer
    write_issuers(issuers_file, [])


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, databases: DatabaseUrls, box: SecretBox, issuers_file: Path
) -> Iterator[httpx.Client]:
    """A client without credentials; nobody is held out, so that what rules do is certain."""
    folder = tmp_path_factory.mktemp("api")
    settings = settings_for(folder, databases, box, token_issuers_file=issuers_file, holdout_share=0)
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


@pytest.fixture
def leaves_no_erasure(postgres: EmbeddedPostgres, tenant: Tenant) -> Iterator[None]:
    """Close what was asked for at random: erasers of later tests would carry it out before their own."""
    yield
    with as_owner(postgres.admin_url) as connection:
        asked = "UPDATE erasure SET finished_at = now() WHERE tenant = %s AND finished_at IS NULL"
        connection.execute(asked, (tenant.tenant,))
