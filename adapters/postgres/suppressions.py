"""Suppressions of recipients, which bounces and complaints make: read, and lifted by an operator who says why.

What the recipient said by it, a complaint, is lifted only after they have said yes again themselves.
"""

from sqlalchemy import delete, select

from adapters.postgres import allowances, audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.tables import suppression
from domain.changes import ChangeKind
from domain.suppression import Suppression, may_be_lifted
from domain.tenants import Tenant
from domain.values import Channel


class RecipientsOwn(RuntimeError):
    """The recipient said it, and has not said otherwise since; nobody else may take it back."""


class Suppressions:
    """Keeps which channels of which recipients are suppressed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, tenant: Tenant, recipient_id: str, *, actor: str) -> list[Suppression]:
        """Return a recipient's suppressions, those of their addresses among them; reading them is audited."""
        entry = AuditEntry(action="suppression.read", actor=actor, object="suppression", recipient_id=recipient_id)
        with self._database.tenant(tenant.tenant) as connection:
            found = allowances.read(connection, [recipient_id])[recipient_id].suppressions
            audit.write(connection, tenant, [entry])
        return list(found)

    def lift(self, tenant: Tenant, recipient_id: str, channel: Channel, *, reason: str, actor: str) -> bool:
        """Lift the suppression of a recipient's channel; return whether there was one. The reason is audited.

        Raises:
            RecipientsOwn: it is a complaint, and no consent for marketing there was given after it.
        """
        here = (suppression.c.recipient_id == recipient_id) & (suppression.c.channel == channel.value)
        with self._database.tenant(tenant.tenant) as connection:
            allowances.touch(connection, tenant.tenant, [recipient_id], kind=ChangeKind.SUPPRESSION)
            row = connection.execute(select(suppression).where(here)).one_or_none()
            if row is None:
                return False
            entry = Suppression(channel=row.channel, cause=row.reason, since=row.since)
            if not may_be_lifted(entry, allowances.read(connection, [recipient_id])[recipient_id].consents):
                raise RecipientsOwn("the recipient complained and has not consented since")
            connection.execute(delete(suppression).where(here))
            told = AuditEntry(
                action="suppression.lifted",
                actor=actor,
                object=f"channel:{channel.value}",
                recipient_id=recipient_id,
                reason=reason,
                old=entry.model_dump(mode="json"),
            )
            audit.write(connection, tenant, [told])
        return True
