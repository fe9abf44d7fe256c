"""What a server needs before anything may use it: databases, roles, the newest schema, a first tenant with a key."""

import contextlib
from typing import TYPE_CHECKING

from adapters.endpoints import Endpoints
from adapters.secrets import SecretBox
from adapters.settings import Settings

if TYPE_CHECKING:
    from adapters.postgres.engine import Database
    from domain.tenants import Tenant

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
    from adapters.keyring import Keyring
    from adapters.postgres.api_keys import ApiKeys
    from adapters.postgres.engine import Database
    from adapters.postgres.migrate import prepare as prepare_server
    from adapters.postgres.tenants import OWNER, Tenants

    if admin_url is not None:
        prepare_server(admin_url, endpoints.databases)
    box = SecretBox.of(settings)
    database = Database(endpoints.databases.app, keyring=Keyring.of(settings))
    try:
        tenants, keys = Tenants(database, box), ApiKeys(database, box)
        # A restored backup knows people who were erased after it was made: they are gone before anything serves.
        erase_again(settings, endpoints, database, list(tenants.all()))
        # Last, so that nothing can fail between the key and whoever is to be shown it.
        _, key = tenants.create_with_key(
            TENANT, lambda: keys.issue(TENANT, name=KEY_NAME), display_name=TENANT, actor=OWNER
        )
        return key
    finally:
        database.close()


def erase_again(settings: Settings, endpoints: Endpoints, database: "Database", tenants: "list[Tenant]") -> int:
    """Erase whom the ledger names and the database still knows; returns how many people that were.

    A store that is away, or a job that has to end first, leaves the rest to the eraser; they are refused messages.
    """
    from adapters.clock import Clock
    from adapters.erasure_ledger import ErasureLedger
    from adapters.personal_data.restored import reapply

    ledger = ErasureLedger.of(settings)
    asked = [(each, id_) for each in tenants for id_ in reapply(database, each, ledger, now=Clock().now(each))]
    if asked:
        from adapters.lake import Lake
        from adapters.personal_data.eraser import Eraser, places
        from adapters.personal_data.online_place import OnlineUnavailable
        from adapters.redis.client import BACKGROUND_TIMEOUT_MS, connect

        with connect(endpoints.redis_url, timeout_ms=BACKGROUND_TIMEOUT_MS) as redis:
            everywhere = places(Lake(settings.lake_dir), redis, settings.data_dir, SecretBox.of(settings))
            eraser = Eraser(database, everywhere, ledger)
            with contextlib.suppress(OnlineUnavailable):
                for tenant, erasure_id in asked:
                    eraser.run(tenant, erasure_id)
    return len(asked)
