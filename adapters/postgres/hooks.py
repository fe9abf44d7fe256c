"""Hooks in PostgreSQL: where tenants want to be told what; the URL and the secrets are sealed at rest."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from adapters.clock import real_now
from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.hook_tables import hook, hook_attempt, hook_delivery
from adapters.secrets import SecretBox
from domain import webhooks
from domain.tenants import Tenant
from domain.values import Frozen, Moment
from domain.webhooks import HookEvent

MOST_HOOKS = 20


class UnknownHook(LookupError):
    """The tenant has no such hook."""


class TooManyHooks(RuntimeError):
    """The tenant has as many hooks as it may."""


class Hook(Frozen):
    """A hook as its owner sees it; the secret is shown only when it is made."""

    hook_id: str
    url: str
    events: tuple[HookEvent, ...]
    description: str
    is_enabled: bool
    disabled_because: str | None = Field(description="Set when deliveries failed for too long, or it said 410.")
    failing_since: Moment | None
    created_at: Moment
    updated_at: Moment


@dataclass(frozen=True)
class Destination:
    """Where a hook's messages go, and what they are signed with: the newest secret first."""

    url: str
    secrets: tuple[tuple[bytes, datetime | None], ...]

    def signing(self, now: datetime) -> list[bytes]:
        """Return the secrets that still sign."""
        return [secret for secret, until in self.secrets if until is None or until > now]


class Hooks:
    """Keeps the hooks of tenants."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    def create(
        self, tenant: Tenant, *, url: str, events: Sequence[HookEvent], description: str, actor: str
    ) -> tuple[Hook, str]:
        """Make a hook and return it with its secret, which is shown only now.

        Raises:
            TooManyHooks: the tenant has as many as it may.
        """
        hook_id, secret = f"hook_{secrets.token_hex(10)}", secrets.token_bytes(webhooks.SECRET_BYTES)
        sealed = seal(self._box, tenant.tenant, hook_id, Destination(url, ((secret, None),)))
        row = {"tenant": tenant.tenant, "hook_id": hook_id, "description": description, "sealed": sealed}
        row["events"] = [each.value for each in events]
        with self._database.tenant(tenant.tenant) as connection:
            if connection.execute(select(func.count()).select_from(hook)).scalar_one() >= MOST_HOOKS:
                raise TooManyHooks(f"a tenant has at most {MOST_HOOKS} hooks")
            made = connection.execute(insert(hook).values(row).returning(hook)).one()
            detail = {"events": row["events"]}
            audit.write(connection, tenant, [_entry("hook.created", hook_id, actor, detail)])
        return self._hook(made), webhooks.written(secret)

    def all(self, tenant: Tenant) -> list[Hook]:
        """Return every hook, oldest first."""
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(select(hook).order_by(hook.c.created_at, hook.c.hook_id)).all()
        return [self._hook(row) for row in rows]

    def get(self, tenant: Tenant, hook_id: str) -> Hook:
        """Return a hook.

        Raises:
            UnknownHook: there is none.
        """
        with self._database.tenant(tenant.tenant) as connection:
            return self._hook(_found(connection, hook_id))

    def change(self, tenant: Tenant, hook_id: str, changes: dict[str, Any], *, actor: str) -> Hook:
        """Change some of ``url``, ``events``, ``description`` and ``is_enabled``; enabling one forgets its failures.

        Raises:
            UnknownHook: there is none.
        """
        values = {name: value for name, value in changes.items() if name != "url"}
        if "events" in values:
            values["events"] = [HookEvent(each).value for each in values["events"]]
        if values.get("is_enabled"):
            values |= {"disabled_because": None, "failures": 0, "failing_since": None, "rest_until": None}
        with self._database.tenant(tenant.tenant) as connection:
            row = _found(connection, hook_id, lock=True)
            if "url" in changes:
                before = unseal(self._box, row)
                values["sealed"] = seal(self._box, tenant.tenant, hook_id, Destination(changes["url"], before.secrets))
            made = _changed(connection, hook_id, values)
            entry = _entry("hook.changed", hook_id, actor, {"changed": sorted(changes)})
            audit.write(connection, tenant, [entry])
        return self._hook(made)

    def rotate(self, tenant: Tenant, hook_id: str, *, overlap: timedelta, actor: str) -> tuple[Hook, str]:
        """Make a new secret; the one before signs beside it until the overlap ends.

        Raises:
            UnknownHook: there is none.
        """
        secret, until = secrets.token_bytes(webhooks.SECRET_BYTES), real_now() + overlap
        with self._database.tenant(tenant.tenant) as connection:
            before = unseal(self._box, _found(connection, hook_id, lock=True))
            kept = ((secret, None), (before.secrets[0][0], until))
            sealed = seal(self._box, tenant.tenant, hook_id, Destination(before.url, kept))
            made = _changed(connection, hook_id, {"sealed": sealed})
            audit.write(connection, tenant, [_entry("hook.rotated", hook_id, actor, {"until": until.isoformat()})])
        return self._hook(made), webhooks.written(secret)

    def delete(self, tenant: Tenant, hook_id: str, *, actor: str) -> None:
        """Forget a hook with everything that waits for it and its log.

        Raises:
            UnknownHook: there is none.
        """
        with self._database.tenant(tenant.tenant) as connection:
            _found(connection, hook_id, lock=True)
            theirs = select(hook_delivery.c.delivery_id).where(hook_delivery.c.hook_id == hook_id)
            connection.execute(delete(hook_attempt).where(hook_attempt.c.delivery_id.in_(theirs)))
            connection.execute(delete(hook_delivery).where(hook_delivery.c.hook_id == hook_id))
            connection.execute(delete(hook).where(hook.c.hook_id == hook_id))
            audit.write(connection, tenant, [_entry("hook.deleted", hook_id, actor, {})])

    def test(self, tenant: Tenant, hook_id: str, *, actor: str) -> str:
        """Leave a message that tells of nothing and return its id.

        Raises:
            UnknownHook: there is none.
        """
        delivery_id = f"msg_{secrets.token_hex(16)}"
        row = {"tenant": tenant.tenant, "delivery_id": delivery_id, "hook_id": hook_id, "event": webhooks.TEST}
        with self._database.tenant(tenant.tenant) as connection:
            _found(connection, hook_id, lock=True)
            connection.execute(insert(hook_delivery).values(row | {"data": {"hook_id": hook_id}}))
            audit.write(connection, tenant, [_entry("hook.tested", hook_id, actor, {})])
        return delivery_id

    def _hook(self, row: Row[Any]) -> Hook:
        known = {name: row._mapping[name] for name in Hook.model_fields if name != "url"}  # noqa: SLF001
        return Hook.model_validate(known | {"url": unseal(self._box, row).url})


def seal(box: SecretBox, tenant: str, hook_id: str, destination: Destination) -> bytes:
    """Return a destination as it is kept."""
    kept = [[secret.hex(), until.isoformat() if until else None] for secret, until in destination.secrets]
    return box.seal(_name(tenant, hook_id), json.dumps({"url": destination.url, "secrets": kept}).encode())


def unseal(box: SecretBox, row: Row[Any]) -> Destination:
    """Return the destination of a row with ``tenant``, ``hook_id`` and ``sealed``.

    Raises:
        CannotOpen: it was sealed with another master key.
    """
    kept = json.loads(box.unseal(_name(row.tenant, row.hook_id), bytes(row.sealed)))
    pairs = [
        (bytes.fromhex(secret), datetime.fromisoformat(until) if until else None) for secret, until in kept["secrets"]
    ]
    return Destination(kept["url"], tuple(pairs))


def _name(tenant: str, hook_id: str) -> str:
    return f"hook:{tenant}:{hook_id}"


def _found(connection: Connection, hook_id: str, *, lock: bool = False) -> Row[Any]:
    query = select(hook).where(hook.c.hook_id == hook_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise UnknownHook("there is no such hook")
    return row


def _changed(connection: Connection, hook_id: str, values: dict[str, Any]) -> Row[Any]:
    statement = update(hook).where(hook.c.hook_id == hook_id)
    return connection.execute(statement.values(**values, updated_at=func.clock_timestamp()).returning(hook)).one()


def _entry(action: str, hook_id: str, actor: str, detail: dict[str, Any]) -> AuditEntry:
    return AuditEntry(action=action, actor=actor, object=f"hook:{hook_id}", detail=detail)
