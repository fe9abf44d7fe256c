"""Requests to erase a person: the suppression is at once, the places follow one by one, and the receipt names each."""

import secrets
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, select, text, update

from adapters.postgres import allowances, audit, changes, deletions, exports, suppressed_addresses
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.erasure_tables import erasure as erasures
from domain.changes import ChangeKind
from domain.identity import subject_key
from domain.tenants import Tenant
from domain.values import Frozen


class UnknownErasure(LookupError):
    """There is no such request."""


class Mode(StrEnum):
    """Whether everything goes, or what the person did stays without who they were."""

    ERASE = "erase"
    ANONYMIZE = "anonymize"


class Erasure(Frozen):
    """A request and how far it is: ``done`` has a count for each place, ``keep`` a ground for each left alone."""

    erasure_id: str
    mode: Mode
    requested_at: datetime
    finished_at: datetime | None
    done: dict[str, int]
    keep: dict[str, str]


class Erasures:
    """Takes requests and tells how they stand."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @allowances.again_if_moved
    def request(
        self,
        tenant: Tenant,
        recipient_id: str,
        *,
        actor: str,
        now: datetime,
        keep: Mapping[str, str] | None = None,
        mode: Mode = Mode.ERASE,
    ) -> Erasure:
        """Suppress the recipient and ask for the erasure; both hold when this returns. An open request is returned.

        An open request to anonymize becomes one to erase when that is asked for; the other way round it stays.

        Args:
            tenant: whose recipient it is.
            recipient_id: who is to be erased.
            actor: who asks.
            now: the tenant's clock.
            keep: places to leave alone, each with the ground, such as a legal hold.
            mode: erase everything, or keep the events under a random id that leads to nobody.
        """
        with self._database.tenant(tenant.tenant) as connection:
            # A deletion takes away what was allowed, so it waits for decisions under way like a withdrawal does.
            recipient_id = allowances.survivor(connection, recipient_id)
            versions = allowances.touch(connection, tenant.tenant, [recipient_id])
            # Whoever was merged into them is the same person.
            whose = [recipient_id, *allowances.hold_aliases(connection, tenant.tenant, [recipient_id])]
            request(connection, tenant, whose, actor=actor, keep=keep or {}, now=now, mode=mode)
            deletions.delete(connection, tenant.tenant, dict.fromkeys(whose, now))
            changes.announce(connection, tenant.tenant, ChangeKind.PROFILE, versions)
            key = subject_key(tenant.subject_secret, recipient_id)
            return _erasure(connection.execute(_OPEN.where(erasures.c.subject_key == key)).one())

    def get(self, tenant: Tenant, erasure_id: str) -> Erasure:
        """Return how a request stands.

        Raises:
            UnknownErasure: there is none of that id.
        """
        with self._database.tenant(tenant.tenant) as connection:
            row = connection.execute(select(erasures).where(erasures.c.erasure_id == erasure_id)).one_or_none()
        if row is None:
            raise UnknownErasure("there is no such request")
        return _erasure(row)

    def open(self, tenant: Tenant) -> list[str]:
        """Return the ids of the requests that are not finished, oldest first."""
        with self._database.tenant(tenant.tenant) as connection:
            return [row.erasure_id for row in connection.execute(_OPEN.order_by(erasures.c.requested_at))]

    def waiting(self, tenant: Tenant) -> tuple[int, datetime | None]:
        """Return how many requests are not finished, and since when the oldest is."""
        with self._database.tenant(tenant.tenant) as connection:
            row = connection.execute(_WAITING).one()
        return int(row.waiting), row.oldest_at

    def recipient(self, tenant: Tenant, erasure_id: str) -> str | None:
        """Return who an open request is about; nobody knows once it is finished."""
        query = select(erasures.c.recipient_id).where(erasures.c.erasure_id == erasure_id)
        with self._database.tenant(tenant.tenant) as connection:
            return connection.execute(query).scalar_one_or_none()


def request(
    connection: Connection,
    tenant: Tenant,
    recipient_ids: Iterable[str],
    *,
    actor: str,
    keep: Mapping[str, str],
    now: datetime,
    mode: Mode = Mode.ERASE,
) -> None:
    """Ask for erasures in a transaction that holds the recipients' heads; who has an open request gets no second.

    The addresses are listed as erased, so that the person imported anew under another id is not written to either.
    """
    recipient_ids = list(recipient_ids)
    allowances.part(connection, recipient_ids)
    named = {subject_key(tenant.subject_secret, each): each for each in recipient_ids}
    known = set(connection.execute(_OPEN.where(erasures.c.subject_key.in_(named))).scalars("subject_key"))
    if known and mode is Mode.ERASE:
        stricter = update(erasures).where(erasures.c.subject_key.in_(known), erasures.c.finished_at.is_(None))
        connection.execute(stricter.values(mode=mode.value, anonymous_id=None))
    new = {key: recipient for key, recipient in named.items() if key not in known}
    rows: list[dict[str, Any]] = [
        {"tenant": tenant.tenant, "erasure_id": str(uuid.uuid4()), "subject_key": key, "recipient_id": recipient}
        | {"keep": dict(keep), "actor": actor, "mode": mode.value}
        | {"anonymous_id": f"anonymous-{secrets.token_hex(16)}" if mode is Mode.ANONYMIZE else None}
        for key, recipient in new.items()
    ]
    if rows:
        connection.execute(insert(erasures), rows)
        for subject in new:
            exports.cancel(connection, tenant, subject, actor=actor)
        for recipient in sorted(new.values()):
            suppressed_addresses.suppress_erased(connection, tenant, recipient, actor=actor, now=now)
        audit.write(connection, tenant, [_entry("erasure.requested", actor, row) for row in rows])


def locked(connection: Connection, erasure_id: str) -> Any:
    """Return an open request's row, held until the transaction ends; None when it is finished or unknown."""
    query = _OPEN.where(erasures.c.erasure_id == erasure_id).with_for_update()
    return connection.execute(query).one_or_none()


def note(connection: Connection, erasure_id: str, place: str, count: int) -> None:
    """Note a place as done, in the transaction that did it."""
    connection.execute(_NOTE, {"erasure_id": erasure_id, "place": place, "count": count})


def finish(connection: Connection, tenant: Tenant, row: Any) -> None:
    """Note that every place is done, and forget the recipient's id."""
    here = update(erasures).where(erasures.c.erasure_id == row.erasure_id)
    connection.execute(here.values(recipient_id=None, anonymous_id=None, finished_at=text("clock_timestamp()")))
    audit.write(connection, tenant, [_entry("erasure.finished", row.actor, row._mapping)])  # noqa: SLF001


def subjects(connection: Connection) -> set[str]:
    """Return the pseudonyms of everybody with a request."""
    return set(connection.execute(select(erasures.c.subject_key)).scalars())


def unseen(connection: Connection, *, place: str) -> set[str]:
    """Return the pseudonyms of those who were erased in a place to the end: nothing of them belongs there any more."""
    ended = erasures.c.finished_at.is_not(None) & ~erasures.c.keep.has_key(place)
    return set(connection.execute(select(erasures.c.subject_key).where(ended)).scalars())


def _erasure(row: Any) -> Erasure:
    return Erasure.model_validate({name: row._mapping[name] for name in Erasure.model_fields})  # noqa: SLF001


def _entry(action: str, actor: str, row: Mapping[str, Any]) -> AuditEntry:
    detail = {"erasure_id": row["erasure_id"], "keep": row["keep"], "mode": row["mode"]}
    return AuditEntry(action=action, actor=actor, object="recipient", subject_key=row["subject_key"], detail=detail)


_OPEN = select(erasures).where(erasures.c.finished_at.is_(None))

_NOTE = text("""
UPDATE erasure SET done = done || jsonb_build_object(CAST(:place AS text), CAST(:count AS bigint))
WHERE erasure_id = :erasure_id
""")
_WAITING = text("SELECT count(*) AS waiting, min(requested_at) AS oldest_at FROM erasure WHERE finished_at IS NULL")
