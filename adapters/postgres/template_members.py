"""Which template is applied to whom: one each at most, changed like everything a decision stands on.

A change goes through the recipient's head, so a decision under way is recorded before it or sees it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.preference_template_tables import template_change, template_member
from domain.preference_templates import Membership
from domain.tenants import Tenant


def read(connection: Connection, recipient_ids: Sequence[str]) -> dict[str, Membership]:
    """Return the membership of each recipient that has one."""
    query = select(template_member).where(template_member.c.recipient_id.in_(list(recipient_ids)))
    return {row.recipient_id: _membership(row) for row in connection.execute(query)}


def put(
    connection: Connection,
    tenant: Tenant,
    memberships: Mapping[str, Membership],
    before: Mapping[str, Membership],
    *,
    actor: str,
) -> None:
    """Give recipients, whose heads are held, a membership in place of the one they had, and keep that to roll back.

    Args:
        connection: the transaction that holds the heads.
        tenant: whose recipients.
        memberships: the new ones by recipient; each is a change.
        before: those there were.
        actor: in whose name.
    """
    if not memberships:
        return
    _store(connection, tenant, memberships)
    changes = [
        {"tenant": tenant.tenant, "application_id": each.application_id, "recipient_id": who}
        | {"before": before[who].model_dump(mode="json") if who in before else None}
        for who, each in memberships.items()
    ]
    connection.execute(insert(template_change), changes)
    entries = [_entry("applied", who, actor, each, before.get(who)) for who, each in memberships.items()]
    audit.write(connection, tenant, entries)


def restore(
    connection: Connection, tenant: Tenant, application_id: str, recipient_ids: Sequence[str], *, actor: str
) -> set[str]:
    """Put back what an application replaced, for recipients whose heads are held; returns those it was done for.

    Whoever has another membership by now, or none, keeps that.
    """
    present = read(connection, recipient_ids)
    query = select(template_change.c.recipient_id, template_change.c.before).where(
        template_change.c.application_id == application_id, template_change.c.recipient_id.in_(list(recipient_ids))
    )
    before = {row.recipient_id: row.before for row in connection.execute(query)}
    mine = [who for who in before if who in present and present[who].application_id == application_id]
    given_back = {who: Membership.model_validate(before[who]) for who in mine if before[who] is not None}
    _store(connection, tenant, given_back)
    _remove(connection, [who for who in mine if before[who] is None])
    entries = [_entry("rolled_back", who, actor, given_back.get(who), present[who]) for who in mine]
    audit.write(connection, tenant, entries)
    return set(mine)


def leave(connection: Connection, tenant: Tenant, recipient_id: str, *, actor: str) -> bool:
    """Take a recipient, whose head is held, out of their template; returns whether they had one."""
    present = read(connection, [recipient_id]).get(recipient_id)
    if present is None:
        return False
    _remove(connection, [recipient_id])
    audit.write(connection, tenant, [_entry("left", recipient_id, actor, None, present)])
    return True


def changed_by(connection: Connection, application_id: str) -> list[str]:
    """Return the recipients an application changed, by code point."""
    query = select(template_change.c.recipient_id).where(template_change.c.application_id == application_id)
    return sorted(connection.execute(query).scalars())


def count(connection: Connection, template_id: str, version: int) -> int:
    """Return how many recipients have a version of a template now."""
    its = (template_member.c.template_id == template_id) & (template_member.c.version == version)
    return connection.execute(select(func.count()).select_from(template_member).where(its)).scalar_one()


def _store(connection: Connection, tenant: Tenant, memberships: Mapping[str, Membership]) -> None:
    rows = [
        {"tenant": tenant.tenant, "recipient_id": who, **each.model_dump(exclude={"held"}), "held": list(each.held)}
        for who, each in memberships.items()
    ]
    if rows:
        statement = upsert(template_member).values(rows)
        changed = {name: statement.excluded[name] for name in Membership.model_fields}
        connection.execute(statement.on_conflict_do_update(index_elements=["tenant", "recipient_id"], set_=changed))


def _remove(connection: Connection, recipient_ids: Sequence[str]) -> None:
    if recipient_ids:
        connection.execute(delete(template_member).where(template_member.c.recipient_id.in_(list(recipient_ids))))


def _membership(row: Row[Any]) -> Membership:
    return Membership(
        template_id=row.template_id,
        version=row.version,
        held=tuple(row.held),
        application_id=row.application_id,
        since=row.since,
    )


def _entry(done: str, recipient_id: str, actor: str, new: Membership | None, old: Membership | None) -> AuditEntry:
    names = {each.template_id for each in (new, old) if each is not None}
    return AuditEntry(
        action=f"preference_template.{done}",
        actor=actor,
        object=f"template:{','.join(sorted(names))}",
        recipient_id=recipient_id,
        old=old.model_dump(mode="json") if old else None,
        new=new.model_dump(mode="json") if new else None,
    )
