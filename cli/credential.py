"""Who runs a command: the key in ``KAIROS_API_KEY`` names the tenant; no command takes one as an argument."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.exit_codes import ExitCode, Refused

if TYPE_CHECKING:
    from adapters.clock import Clock
    from adapters.postgres.engine import Database
    from adapters.settings import Settings
    from domain.tenants import Tenant


@dataclass(frozen=True)
class Session:
    """An open database, the tenant whose key was given, and the name of whoever gave it in the audit trail."""

    settings: "Settings"
    database: "Database"
    tenant: "Tenant"
    clock: "Clock"
    actor: str


@contextmanager
def session(scope: str) -> Iterator[Session]:
    """Authenticate with ``KAIROS_API_KEY``.

    Raises:
        Refused: there is no key, it is not valid, it may not do this, or PostgreSQL is away.
    """
    from adapters.clock import Clock
    from adapters.endpoints import resolve
    from adapters.keyring import Keyring
    from adapters.postgres.api_keys import ApiKeys
    from adapters.postgres.audit import arriving
    from adapters.postgres.engine import Database, Unavailable
    from adapters.postgres.tenants import Tenants
    from adapters.secrets import SecretBox
    from adapters.settings import load_settings
    from domain.permissions import Permission

    settings = load_settings()
    if settings.api_key is None:
        raise Refused("KAIROS_API_KEY is not set; it says for which tenant. See: kairos keys issue", ExitCode.USAGE)
    box = SecretBox.of(settings)
    database = Database(resolve(settings).databases.app, keyring=Keyring.of(settings))
    clock = Clock()
    try:
        credential = ApiKeys(database, box).find(settings.api_key.get_secret_value(), now=clock.real())
        if credential is None:
            raise Refused("KAIROS_API_KEY is not a valid key: unknown, expired or revoked", ExitCode.USAGE)
        if not Permission(scope).is_granted_by(credential.scopes):
            raise Refused(f"the key in KAIROS_API_KEY lacks the permission {scope}", ExitCode.USAGE)
        tenant = Tenants(database, box).get(credential.tenant)
        with arriving(interface="cli"):
            yield Session(settings, database, tenant, clock, actor=f"key:{credential.prefix}")
    except Unavailable as error:
        raise Refused(f"{error}; try again when it is back", ExitCode.NOT_RUNNING) from None
    finally:
        database.close()
