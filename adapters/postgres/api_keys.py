"""API keys: ``kai_<prefix>_<secret>``, shown once, kept only as a keyed hash.

Issuing, rotating and revoking are in the audit trail, in the same transaction; so are the first use of each day and
refusals of a key whose tenant is known, at most one a minute for each key.
"""

import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Row, insert, select, text, update

from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.tables import api_key
from adapters.secrets import SecretBox
from domain import roles as role_sets
from domain.values import Frozen

_FORM = re.compile(r"kai_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
_PREFIX_BYTES = 6
_SECRET_BYTES = 32
_EVERYTHING = ("*",)
_MOST_REMEMBERED = 10_000
REFUSALS_APART = timedelta(minutes=1)
OWNER = "owner"
"""The actor when whoever runs the installation acts, by the command line."""


class Credential(Frozen):
    """Who a request comes from: a key of one tenant; ``scopes`` are its permissions, those of its roles included."""

    tenant: str
    prefix: str
    name: str
    scopes: tuple[str, ...]

    @property
    def actor(self) -> str:
        """The key's name in audit and consent records."""
        return f"key:{self.prefix}"


class KeyEntry(Frozen):
    """A key as it may be shown: everything but the key."""

    prefix: str
    name: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class Refusal(StrEnum):
    """Why a key of a known tenant is not taken."""

    FORGED = "forged"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ApiKeys:
    """Issues, finds, rotates and revokes keys; a revoked key is refused from the next request on."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._pepper = box.key("api_key")
        self._lock = Lock()
        self._noted: OrderedDict[str, datetime] = OrderedDict()

    def issue(
        self,
        tenant: str,
        *,
        name: str,
        scopes: Sequence[str] | None = None,
        roles: Sequence[str] = (),
        expires_at: datetime | None = None,
        actor: str = OWNER,
    ) -> str:
        """Create a key and return it; it cannot be shown again. With neither scopes nor roles it may do everything."""
        granted = scopes if scopes is not None else (() if roles else _EVERYTHING)
        with self._database.tenant(tenant) as connection:
            key = self._insert(connection, tenant, name, {"scopes": granted, "roles": roles, "expires_at": expires_at})
            detail = {"scopes": list(granted), "roles": list(roles)}
            audit.note(connection, tenant, _entry("key.issued", actor, _prefix(key), detail=detail))
        return key

    def rotate(self, tenant: str, prefix: str, *, overlap: timedelta, at: datetime, actor: str = OWNER) -> str | None:
        """Replace a key in force by a new one that may do the same and lives as long; returns the new one.

        The old key is refused once ``overlap`` has passed, or at its own expiry when that is earlier. Returns None
        when the tenant has no such key in force.
        """
        with self._database.tenant(tenant) as connection:
            query = select(api_key).where(_in_force(prefix, at)).with_for_update()
            old = connection.execute(query).one_or_none()
            if old is None:
                return None
            lifetime = None if old.expires_at is None else at + (old.expires_at - old.created_at)
            same = {"scopes": old.scopes, "roles": old.roles, "expires_at": lifetime}
            key = self._insert(connection, tenant, old.name, same)
            ends = at + overlap if old.expires_at is None else min(old.expires_at, at + overlap)
            connection.execute(update(api_key).where(api_key.c.prefix == prefix).values(expires_at=ends))
            detail = {"successor": _prefix(key), "overlap_seconds": overlap.total_seconds()}
            audit.note(connection, tenant, _entry("key.rotated", actor, prefix, detail=detail))
        return key

    def revoke(self, tenant: str, prefix: str, *, at: datetime, actor: str = OWNER) -> bool:
        """Revoke a key; returns False when the tenant has no such key, or it is revoked already."""
        with self._database.tenant(tenant) as connection:
            known = (api_key.c.prefix == prefix) & api_key.c.revoked_at.is_(None)
            is_done = connection.execute(update(api_key).where(known).values(revoked_at=at)).rowcount == 1
            if is_done:
                audit.note(connection, tenant, _entry("key.revoked", actor, prefix))
        return is_done

    def all(self, tenant: str) -> list[KeyEntry]:
        """Return a tenant's keys, revoked ones too, oldest first."""
        with self._database.tenant(tenant) as connection:
            rows = connection.execute(select(api_key).order_by(api_key.c.created_at, api_key.c.prefix)).all()
        return [KeyEntry.model_validate({name: getattr(row, name) for name in KeyEntry.model_fields}) for row in rows]

    def find(self, key: str, *, now: datetime) -> Credential | None:
        """Return whose key this is, or None when it is malformed, unknown, expired or revoked."""
        match = _FORM.fullmatch(key)
        if match is None:
            return None
        with self._database.begin() as connection:
            row = connection.execute(_FIND, {"prefix": match[1]}).one()
        # The comparison runs for an unknown prefix too, so that the answer's time says nothing.
        is_genuine = hmac.compare_digest(bytes(row.key_hmac), self._hmac(key))
        if row.tenant is None:
            return None
        refusal = _refusal(row, now) if is_genuine else Refusal.FORGED
        if refusal is not None:
            self._note_refusal(row.tenant, match[1], refusal, now)
            return None
        if row.used_on != now.date():
            self._note_use(row.tenant, match[1], now)
        scopes = role_sets.granted(row.scopes, row.roles)
        return Credential(tenant=row.tenant, prefix=match[1], name=row.name, scopes=scopes)

    def _insert(self, connection: Connection, tenant: str, name: str, given: dict[str, Any]) -> str:
        prefix = secrets.token_hex(_PREFIX_BYTES)
        key = f"kai_{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        row = {"tenant": tenant, "prefix": prefix, "key_hmac": self._hmac(key), "name": name} | given
        row |= {"scopes": list(given["scopes"]), "roles": list(given["roles"])}
        connection.execute(insert(api_key).values(row))
        return key

    def _note_use(self, tenant: str, prefix: str, now: datetime) -> None:
        today = now.date()
        is_first = (api_key.c.prefix == prefix) & api_key.c.used_on.is_distinct_from(today)
        with self._database.tenant(tenant) as connection:
            if connection.execute(update(api_key).where(is_first).values(used_on=today)).rowcount == 1:
                audit.note(connection, tenant, _entry("key.used", f"key:{prefix}", prefix))

    def _note_refusal(self, tenant: str, prefix: str, refusal: Refusal, now: datetime) -> None:
        # Whoever knows a prefix may try as often as they like; the trail grows by one row a minute at most. Between
        # two of them nothing is written or asked, so that a known prefix takes no longer to refuse than an unknown one.
        with self._lock:
            last = self._noted.get(prefix)
            if last is not None and last <= now < last + REFUSALS_APART:
                return
            self._noted[prefix] = now
            self._noted.move_to_end(prefix)
            if len(self._noted) > _MOST_REMEMBERED:
                self._noted.popitem(last=False)
        is_due = api_key.c.refused_at.is_(None) | (api_key.c.refused_at <= now - REFUSALS_APART)
        with self._database.tenant(tenant) as connection:
            noted = update(api_key).where((api_key.c.prefix == prefix) & is_due).values(refused_at=now)
            if connection.execute(noted).rowcount == 1:
                audit.note(connection, tenant, _entry("key.refused", "unknown", prefix, reason=refusal.value))

    def _hmac(self, key: str) -> bytes:
        return hmac.new(self._pepper, key.encode(), sha256).digest()


def _in_force(prefix: str, at: datetime) -> Any:
    is_alive = api_key.c.expires_at.is_(None) | (api_key.c.expires_at > at)
    return (api_key.c.prefix == prefix) & api_key.c.revoked_at.is_(None) & is_alive


def _refusal(row: Row[Any], now: datetime) -> Refusal | None:
    if row.revoked_at is not None:
        return Refusal.REVOKED
    return Refusal.EXPIRED if row.expires_at is not None and row.expires_at <= now else None


def _entry(action: str, actor: str, prefix: str, **more: Any) -> AuditEntry:
    return AuditEntry(action=action, actor=actor, object=f"key:{prefix}", **more)


def _prefix(key: str) -> str:
    return key.split("_")[1]


_FIND = text(
    """
    SELECT f.tenant, COALESCE(f.key_hmac, decode(repeat('00', 32), 'hex')) AS key_hmac,
           COALESCE(f.name, 'nobody') AS name, COALESCE(f.scopes, '["*"]') AS scopes, COALESCE(f.roles, '[]') AS roles,
           f.expires_at, f.revoked_at, f.used_on
    FROM (SELECT 1) AS always LEFT JOIN kairos_find_key(:prefix) AS f ON true
    """
)
"""One row, whether there is such a key or not: ``tenant`` says it, and reading it takes as long."""
