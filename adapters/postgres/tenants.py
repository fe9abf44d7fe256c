"""Tenants in PostgreSQL: created once, read with each request, their secrets sealed at rest."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Row, insert, select, text, update

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.tables import tenant as tenants
from adapters.secrets import SecretBox
from domain.tenants import Tenant

_SECRET_BYTES = 32
OWNER = "owner"
"""Whoever can read the settings and the secret of the installation, in the audit trail."""


class UnknownTenant(LookupError):
    """No tenant has this name."""


class Tenants:
    """The tenants of this installation; creating one twice changes nothing."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    def create(
        self,
        name: str,
        *,
        display_name: str,
        time_zone: str = "UTC",
        is_sandbox: bool = False,
        actor: str | None = None,
    ) -> tuple[Tenant, bool]:
        """Create a tenant, or return the one that has the name; the trail says so when somebody did it (``actor``).

        Returns:
            The tenant, and whether it is new.
        """
        wanted = Tenant(
            tenant=name,
            display_name=display_name,
            time_zone=time_zone,
            is_sandbox=is_sandbox,
            subject_secret=secrets.token_bytes(_SECRET_BYTES),
        )
        row = wanted.model_dump() | {"subject_secret": self._box.seal(f"subject:{name}", wanted.subject_secret)}
        with self._database.tenant(name) as connection:
            known = connection.execute(select(tenants)).one_or_none()
            if known is not None:
                return self._tenant(known), False
            connection.execute(insert(tenants).values(row))
            if actor is not None:
                audit.write(connection, wanted, [_created(wanted, actor)])
        return wanted, True

    def create_with_key(self, name: str, issue: Callable[[], str], **facts: Any) -> tuple[Tenant, str | None]:
        """Create a tenant together with its first key, in one transaction: there is never one that nobody can enter.

        Args:
            name: the tenant's.
            issue: issues the key through the same database.
            facts: as ``create``.

        Returns:
            The tenant, and the key when the tenant is new.
        """
        with self._database.joined(name):
            tenant, is_new = self.create(name, **facts)
            return tenant, issue() if is_new else None

    def get(self, name: str) -> Tenant:
        """Return a tenant as it is now.

        Raises:
            UnknownTenant: no tenant has the name.
        """
        with self._database.tenant(name) as connection:
            row = connection.execute(select(tenants)).one_or_none()
        if row is None:
            raise UnknownTenant(f"there is no tenant {name!r}")
        return self._tenant(row)

    def names(self) -> list[str]:
        """Return the names of all tenants, in order."""
        with self._database.begin() as connection:
            return list(connection.execute(text("SELECT kairos_tenant_names()")).scalars())

    def all(self) -> Iterator[Tenant]:
        """Yield every tenant, by name."""
        for name in self.names():
            yield self.get(name)

    def shift_clock(self, name: str, offset_seconds: float, *, actor: str = OWNER) -> Tenant:
        """Set how far a sandbox tenant's clock is from the wall's, in seconds.

        Raises:
            UnknownTenant: no tenant has the name.
            ValueError: the tenant is not a sandbox.
        """
        before = self.get(name)
        shifted = Tenant.model_validate(before.model_dump() | {"clock_offset_seconds": offset_seconds})
        change = {"from_seconds": before.clock_offset_seconds, "to_seconds": offset_seconds}
        with self._database.tenant(name) as connection:
            connection.execute(update(tenants).values(clock_offset_seconds=offset_seconds))
            entry = AuditEntry(action="tenant.clock_set", actor=actor, object=f"tenant:{name}", detail=change)
            audit.write(connection, shifted, [entry])
        return shifted

    def _tenant(self, row: Row[tuple[object, ...]]) -> Tenant:
        fields = {name: value for name, value in row._mapping.items() if name in Tenant.model_fields}  # noqa: SLF001
        sealed = fields["subject_secret"]
        fields["subject_secret"] = self._box.unseal(f"subject:{fields['tenant']}", bytes(sealed))
        return Tenant.model_validate(fields)


def _created(tenant: Tenant, actor: str) -> AuditEntry:
    facts = tenant.model_dump(include={"display_name", "time_zone", "is_sandbox"})
    return AuditEntry(action="tenant.created", actor=actor, object=f"tenant:{tenant.tenant}", detail=facts)
