"""Rotation of the key-encryption key: a new one is made, every data key is wrapped anew, the old one is let go.

Nothing is noted on the way: what is left to do is what another key still wraps. So it may be killed and begun again at
any point, run beside writers and beside itself, and a data key is readable at every moment.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text

from adapters.keyring import Keyring
from adapters.postgres import audit
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.subject_keys import key_bound_to
from domain.tenants import Tenant

BATCH = 500
GRACE = timedelta(hours=1)
"""Time an old key is kept after a new one came: longer than any transaction that may still wrap with it."""


@dataclass(frozen=True)
class Progress:
    """How far a rotation is with one tenant: data keys wrapped anew, and those still to come."""

    tenant: str
    done: int
    left: int


class KeyRotation:
    """Rotates the key-encryption key of an installation."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    def is_due(self, now: datetime, every: timedelta) -> bool:
        """Return whether the present key is older than ``every``; a key given by settings never says so."""
        since = self._keyring.current_since
        return since is not None and now - since >= every

    def uses(self, tenants: Iterable[Tenant]) -> Counter[str]:
        """Return how many data keys each key-encryption key wraps; a key that is here and wraps none counts 0."""
        counts = Counter(dict.fromkeys(self._keyring.ids, 0))
        for tenant in tenants:
            with self._database.tenant(tenant.tenant) as connection:
                counts.update({row.wrapped_by: row.count for row in connection.execute(_USES)})
        return counts

    def begin(self, tenants: Iterable[Tenant]) -> str | None:
        """Make a new key, unless an earlier rotation is not at its end yet; returns its id, or None.

        Raises:
            GivenBySettings: the keys are not ours to add to.
        """
        counts = self.uses(tenants)
        if any(count for name, count in counts.items() if name != self._keyring.current):
            return None
        return self._keyring.add()

    def rewrap(self, tenant: Tenant, *, actor: str, batch: int = BATCH) -> Iterator[Progress]:
        """Wrap a tenant's data keys with the present key, a batch a transaction; yields after each.

        Raises:
            CannotOpen: a data key does not open; those before it are done.
        """
        done = 0
        while count := self._rewrap(tenant, batch):
            done += count
            if not (left := self._left(tenant)):
                self._note(tenant, done, actor)
            yield Progress(tenant.tenant, done, left)

    def let_go(self, tenants: Iterable[Tenant], *, now: datetime) -> list[str]:
        """Forget the old keys that wrap nothing any more and were replaced an hour ago or more; returns their ids."""
        counts = self.uses(tenants)
        gone = [name for name in self._keyring.replaced_before(now - GRACE) if counts[name] == 0]
        for name in gone:
            self._keyring.remove(name)
        return gone

    def _rewrap(self, tenant: Tenant, batch: int) -> int:
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(_OTHERS, {"current": self._keyring.current, "limit": batch}).all()
            if rows:
                connection.execute(_REWRAP, [self._wrapped(tenant, row) for row in rows])
        return len(rows)

    def _left(self, tenant: Tenant) -> int:
        with self._database.tenant(tenant.tenant) as connection:
            return int(connection.execute(_LEFT, {"current": self._keyring.current}).scalar_one())

    def _note(self, tenant: Tenant, count: int, actor: str) -> None:
        detail = {"key": self._keyring.current, "count": count}
        entry = AuditEntry(action="keys.rotated", actor=actor, object="keyring", detail=detail)
        with self._database.tenant(tenant.tenant) as connection:
            audit.write(connection, tenant, [entry])

    def _wrapped(self, tenant: Tenant, row: Row[Any]) -> dict[str, Any]:
        bound_to = key_bound_to(tenant.tenant, row.subject_key, row.key_id)
        secret = self._keyring.unwrap(row.wrapped_by, bytes(row.wrapped), bound_to)
        name, wrapped = self._keyring.wrap(secret, bound_to)
        return {"subject_key": row.subject_key, "key_id": row.key_id, "name": name, "wrapped": wrapped}


_USES = text("SELECT wrapped_by, count(*) AS count FROM subject_data_key WHERE wrapped IS NOT NULL GROUP BY wrapped_by")

_OTHERS = text("""
SELECT subject_key, key_id, wrapped_by, wrapped FROM subject_data_key
WHERE wrapped IS NOT NULL AND wrapped_by <> :current ORDER BY subject_key, key_id LIMIT :limit FOR UPDATE SKIP LOCKED
""")
"""What another rotation holds is skipped: it does the same."""

_LEFT = text("SELECT count(*) FROM subject_data_key WHERE wrapped IS NOT NULL AND wrapped_by <> :current")

_REWRAP = text("""
UPDATE subject_data_key SET wrapped_by = :name, wrapped = :wrapped WHERE subject_key = :subject_key AND key_id = :key_id
""")
