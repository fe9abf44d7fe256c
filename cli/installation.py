"""The parts a command of the installation's owner works with; whoever can read its settings and secret is the owner."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.exit_codes import ExitCode, Refused

if TYPE_CHECKING:
    from adapters.clock import Clock
    from adapters.keyring import Keyring
    from adapters.postgres.api_keys import ApiKeys
    from adapters.postgres.engine import Database
    from adapters.postgres.tenants import Tenants
    from domain.tenants import Tenant


@dataclass(frozen=True)
class Installation:
    """Tenants, keys and the clock; the database and what opens personal fields in it."""

    tenants: "Tenants"
    api_keys: "ApiKeys"
    clock: "Clock"
    database: "Database"
    keyring: "Keyring"


@contextmanager
def opened() -> Iterator[Installation]:
    """Open the installation that the settings name.

    Raises:
        Refused: PostgreSQL is away.
        NotRunning: nothing says where it is.
    """
    from adapters.clock import Clock
    from adapters.endpoints import resolve
    from adapters.keyring import Keyring
    from adapters.postgres.api_keys import ApiKeys
    from adapters.postgres.engine import Database, Unavailable
    from adapters.postgres.tenants import Tenants
    from adapters.secrets import SecretBox
    from adapters.settings import load_settings

    settings = load_settings()
    box = SecretBox.of(settings)
    keyring = Keyring.of(settings)
    database = Database(resolve(settings).databases.app, keyring=keyring)
    try:
        yield Installation(Tenants(database, box), ApiKeys(database, box), Clock(), database, keyring)
    except Unavailable as error:
        raise Refused(f"{error}; try again when it is back", ExitCode.NOT_RUNNING) from None
    finally:
        database.close()


def tenant_named(here: Installation, name: str) -> "Tenant":
    """Return the tenant that ``--tenant`` names.

    Raises:
        Refused: there is no such tenant.
    """
    from adapters.postgres.tenants import UnknownTenant

    try:
        return here.tenants.get(name)
    except UnknownTenant as error:
        raise Refused(f"--tenant: {error}", ExitCode.USAGE) from None


def tenants_named(here: Installation, name: str | None) -> "Iterator[Tenant]":
    """Yield the tenant that ``--tenant`` names, or every tenant where it names none.

    Raises:
        Refused: there is no such tenant.
    """
    if name is None:
        yield from here.tenants.all()
    else:
        yield tenant_named(here, name)
