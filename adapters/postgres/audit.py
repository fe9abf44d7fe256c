"""Audit rows: who did what to whom, by which way and why, committed with what they tell of; pseudonyms only.

The values before and after a change are sealed under the subject's key: erasing the subject makes them unreadable
and leaves every row as it is.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection, insert

from adapters.postgres import subject_keys
from adapters.postgres.subject_keys import Place
from adapters.postgres.tables import audit
from domain.identity import subject_key
from domain.tenants import Tenant
from domain.values import Frozen

_CONTEXT: ContextVar[Mapping[str, Any]] = ContextVar("kairos_audit_context", default={})  # noqa: B039 - never changed


class AuditEntry(Frozen):
    """One row of the audit trail; only ``old`` and ``new`` may hold personal data, any JSON value.

    ``reason`` says why, in a word or a sentence that names nobody. ``context`` adds to what the way by which the
    action came says of itself (``arriving``): the law and the rule it was done under, a ticket. ``subject_key`` is for
    where only the pseudonym of the recipient is known.
    """

    action: str
    actor: str
    object: str
    recipient_id: str | None = None
    subject_key: str | None = None
    detail: Mapping[str, Any] = {}
    reason: str | None = None
    old: Any = None
    new: Any = None
    context: Mapping[str, Any] = {}

    @property
    def has_values(self) -> bool:
        """Whether there is something to seal."""
        return self.old is not None or self.new is not None


@contextmanager
def arriving(**context: Any) -> Iterator[None]:
    """Note by which way everything inside the block comes: ``request_id``, ``address_hash``, ``user_agent_hash``."""
    token = _CONTEXT.set({**_CONTEXT.get(), **context})
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def context() -> dict[str, Any]:
    """Return by which way the action under way came."""
    return dict(_CONTEXT.get())


def write(connection: Connection, tenant: Tenant, entries: Iterable[AuditEntry]) -> None:
    """Add rows in the transaction of what they tell of.

    Values of a subject who was erased are not kept; the row says so.

    Raises:
        NoKeyring: an entry has values, and the database was opened without keys.
    """
    given = list(entries)
    rows = [_row(tenant, entry) for entry in given]
    for row, sealed in zip(rows, _sealed(connection, tenant, given), strict=True):
        row["values_sealed"] = sealed
    if rows:
        connection.execute(insert(audit), rows)


def note(connection: Connection, tenant: str, entry: AuditEntry) -> None:
    """Add one row that is about no recipient, for callers who hold a tenant's name only.

    Raises:
        ValueError: the entry names a recipient or has values to seal, which needs the tenant's secret.
    """
    if entry.recipient_id is not None or entry.has_values:
        raise ValueError("an entry about a recipient is written with its tenant")
    connection.execute(insert(audit).values(_plain_row(tenant, entry.subject_key, entry)))


def _row(tenant: Tenant, entry: AuditEntry) -> dict[str, Any]:
    return _plain_row(tenant.tenant, _subject(tenant, entry), entry)


def _plain_row(tenant: str, subject: str | None, entry: AuditEntry) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "action": entry.action,
        "actor": entry.actor,
        "object": entry.object,
        "subject_key": subject,
        "detail": dict(entry.detail),
        "reason": entry.reason,
        "context": {**_CONTEXT.get(), **entry.context},
    }


def _sealed(connection: Connection, tenant: Tenant, entries: Sequence[AuditEntry]) -> Iterator[bytes | None]:
    """Yield the sealed values of each entry, None where there are none or may be none."""
    given = [(_place(entry), _plain(entry)) for entry in entries if entry.has_values]
    done = iter(subject_keys.of(connection).seal_many(connection, tenant, given) if given else [])
    for entry in entries:
        yield next(done) if entry.has_values else None


def _place(entry: AuditEntry) -> Place:
    # The chain holds a row in its place; this holds the values to the row, whose number is not known yet.
    version = version_of(entry.action, entry.object)
    return Place(entry.recipient_id, audit.name, audit.c.values_sealed.name, version, entry.subject_key)


def version_of(action: str, what: str) -> str:
    """Return what the values of a row are bound to besides their subject."""
    return f"{action}|{what}"


def _subject(tenant: Tenant, entry: AuditEntry) -> str | None:
    return subject_key(tenant.subject_secret, entry.recipient_id) if entry.recipient_id else entry.subject_key


def _plain(entry: AuditEntry) -> bytes:
    return json.dumps({"old": entry.old, "new": entry.new}, sort_keys=True, allow_nan=False, default=str).encode()
