"""What a server needs before anything may use it: databases, roles, the newest schema, a first tenant with a key."""

from adapters.endpoints import Endpoints
from adapters.secrets import SecretBox
from adapters.settings import Settings

TENANT = "default"
KEY_NAME = "first"


def prepare(settings: Settings, endpoints: Endpoints, admin_url: str | None) -> str | None:
    """Bring the server up to date; everything already there is left alone.

    Args:
        settings: says which master secret protects what is stored.
        endpoints: the connections the programs will use.
        admin_url: a role that may create roles and databases; None leaves the schema as it is.

    Returns:
        The first API key, when the tenant was created now; it is stored nowhere.
    """
    from adapters.clock import Clock
    from adapters.erasure_ledger import ErasureLedger
    from adapters.keyring import Keyring
    from adapters.personal_data.restored import reapply
    from adapters.postgres.api_keys import ApiKeys
    from adapters.postgres.engine import Database
    from adapters.postgres.migrate import prepare as prepare_server
    from adapters.postgres.tenants import OWNER, Tenants

    if admin_url is not None:
        prepare_server(admin_url, endpoints.databases)
    box = SecretBox.of(settings)
    database = Database(endpoints.databases.app, keyring=Keyring.of(settings))
    try:
        tenants = Tenants(database, box)
        _, is_new = tenants.create(TENANT, display_name=TENANT, actor=OWNER)
        # A restored backup knows people who were erased after it was made: they are refused before anything serves.
        for tenant in tenants.all():
            reapply(database, tenant, ErasureLedger.below(settings.data_dir), now=Clock().now(tenant))
        return ApiKeys(database, box).issue(TENANT, name=KEY_NAME) if is_new else None
    finally:
        database.close()
