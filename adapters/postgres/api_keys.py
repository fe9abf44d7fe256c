"""API keys: ``kai_<prefix>_<secret>``, shown once, kept only as a keyed hash."""

import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from sqlalchemy import insert, text, update

from adapters.postgres.engine import Database
from adapters.postgres.tables import api_key
from adapters.secrets import SecretBox
from domain.values import Frozen

_FORM = re.compile(r"kai_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
_PREFIX_BYTES = 6
_SECRET_BYTES = 32


class Credential(Frozen):
    """Who a request comes from: a key of one tenant."""

    tenant: str
    prefix: str
    name: str
    scopes: tuple[str, ...]


class ApiKeys:
    """Issues, finds and revokes keys; a revoked key is refused from the next request on."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._pepper = box.key("api_key")

    def issue(
        self, tenant: str, *, name: str, scopes: Sequence[str] = ("*",), expires_at: datetime | None = None
    ) -> str:
        """Create a key and return it; it cannot be shown again."""
        prefix = secrets.token_hex(_PREFIX_BYTES)
        key = f"kai_{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        row = {"tenant": tenant, "prefix": prefix, "key_hmac": self._hmac(key), "name": name}
        with self._database.tenant(tenant) as connection:
            connection.execute(insert(api_key).values(**row, scopes=list(scopes), expires_at=expires_at))
        return key

    def revoke(self, tenant: str, prefix: str, *, at: datetime) -> bool:
        """Revoke a key; returns False when the tenant has no such key in force."""
        with self._database.tenant(tenant) as connection:
            in_force = (api_key.c.prefix == prefix) & api_key.c.revoked_at.is_(None)
            return connection.execute(update(api_key).where(in_force).values(revoked_at=at)).rowcount == 1

    def find(self, key: str, *, now: datetime) -> Credential | None:
        """Return whose key this is, or None when it is malformed, unknown, expired or revoked."""
        match = _FORM.fullmatch(key)
        if match is None:
            return None
        with self._database.begin() as connection:
            row = connection.execute(_FIND, {"prefix": match[1]}).one_or_none()
        # The comparison runs for an unknown prefix too, so that the answer's time says nothing.
        expected = bytes(row.key_hmac) if row is not None else bytes(32)
        if not hmac.compare_digest(expected, self._hmac(key)) or row is None:
            return None
        if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
            return None
        return Credential(tenant=row.tenant, prefix=match[1], name=row.name, scopes=tuple(row.scopes))

    def _hmac(self, key: str) -> bytes:
        return hmac.new(self._pepper, key.encode(), sha256).digest()


_FIND = text("SELECT * FROM kairos_find_api_key(:prefix)")
