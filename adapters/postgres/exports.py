"""Exports in PostgreSQL: a chunk's place in the file is committed with the progress, so that a kill repeats none.

An erasure cancels every export of the person in the transaction that asks for it: nothing is finished or fetched later.
"""

import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, text, update

from adapters.keyring import KEY_BYTES
from adapters.postgres import audit, subject_keys
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.export_tables import data_export as exports
from adapters.postgres.subject_keys import KeyDestroyed
from adapters.secrets import SecretBox
from domain.exports import KEPT_FOR, Export, ExportKind, ExportState
from domain.identity import subject_key
from domain.tenants import Tenant

TOKEN_BYTES = 32
BEING_FETCHED = timedelta(minutes=10)
"""How long a fetched file stays when the service that sends it dies; otherwise it goes when it was sent."""
_OPEN = (ExportState.QUEUED.value, ExportState.RUNNING.value)


class UnknownExport(LookupError):
    """There is no such export."""


class NotReady(RuntimeError):
    """The export is not ready: it is being written, was fetched, or is gone."""


@dataclass(frozen=True)
class Progress:
    """How far an export is: which source, where in it, and how much of the file counts."""

    source: int = 0
    after: Any = None
    chunks: int = 0
    bytes: int = 0
    records: int = 0


@dataclass(frozen=True)
class Held:
    """An export nobody else works on until the transaction ends."""

    export_id: str
    recipient_id: str
    kind: ExportKind
    key: bytes
    progress: Progress


@dataclass(frozen=True)
class Fetch:
    """What a link stands for; it was good once, and is not any more."""

    tenant: str
    export_id: str
    kind: ExportKind
    key: bytes
    chunks: int


class Exports:
    """Takes requests, keeps how far each is, and hands each file out once."""

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._pepper = box.key("export:link")

    def request(self, tenant: Tenant, recipient_id: str, kind: ExportKind, *, actor: str) -> Export:
        """Queue an export.

        Raises:
            KeyDestroyed: the recipient was erased; there is nothing of them.
        """
        export_id = str(uuid.uuid4())
        key = {"tenant": tenant.tenant, "export_id": export_id}
        with self._database.tenant(tenant.tenant) as connection:
            file_key = subject_keys.of(connection).seal(
                connection, tenant, recipient_id, **_place(export_id), plain=secrets.token_bytes(KEY_BYTES)
            )
            whose = {"subject_key": subject_key(tenant.subject_secret, recipient_id), "recipient_id": recipient_id}
            values = {"kind": kind.value, "state": ExportState.QUEUED.value, "file_key": file_key, "actor": actor}
            connection.execute(insert(exports).values(key | whose | values))
            _audit(connection, tenant, "export.requested", actor, _row(connection, export_id))
            return _export(_row(connection, export_id))

    def get(self, tenant: Tenant, export_id: str, *, subject: str | None = None) -> Export:
        """Return an export as it stands; with a ``subject``, only when it is of that person.

        Raises:
            UnknownExport: there is none of that id.
        """
        with self._database.tenant(tenant.tenant) as connection:
            return _export(_row(connection, export_id, subject=subject))

    def open(self, tenant: Tenant) -> list[str]:
        """Return the ids of the exports that are to be written, oldest first."""
        query = select(exports.c.export_id).where(exports.c.state.in_(_OPEN)).order_by(exports.c.requested_at)
        with self._database.tenant(tenant.tenant) as connection:
            return list(connection.execute(query).scalars())

    @contextmanager
    def held(self, tenant: Tenant, export_id: str) -> Iterator[tuple[Connection, Held] | None]:
        """Hold an export that is to be written while the block runs; None when it is another's, or not any more."""
        query = select(exports).where(exports.c.export_id == export_id, exports.c.state.in_(_OPEN))
        with self._database.tenant(tenant.tenant) as connection:
            row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                yield None
                return
            try:
                key = _opened(connection, tenant, row)
            except KeyDestroyed:
                cancel(connection, tenant, row.subject_key, actor=row.actor)
                yield None
                return
            progress = Progress(
                row.position.get("source", 0), row.position.get("after"), row.chunks, row.bytes, row.records
            )
            yield connection, Held(export_id, row.recipient_id, ExportKind(row.kind), key, progress)

    def link(
        self, tenant: Tenant, export_id: str, *, actor: str, now: datetime, subject: str | None = None
    ) -> tuple[str, datetime]:
        """Return a token that fetches a ready export once, and until when; an earlier one is good no more.

        With a ``subject``, an export that is not of that person does not exist.

        Raises:
            UnknownExport: there is none of that id.
            NotReady: it cannot be fetched.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._database.tenant(tenant.tenant) as connection:
            row = _row(connection, export_id, lock=True, subject=subject)
            if row.state != ExportState.READY.value or row.finished_at + KEPT_FOR <= now:
                raise NotReady(f"the export is {row.state}")
            until = row.finished_at + KEPT_FOR
            values = {"link_digest": self._digest(token), "link_expires_at": until}
            connection.execute(update(exports).where(exports.c.export_id == export_id).values(values))
            _audit(connection, tenant, "export.link_issued", actor, row)
        return token, until

    def tenant_of(self, token: str) -> str | None:
        """Return whose export a token stands for, None when it stands for none."""
        with self._database.begin() as connection:
            found = connection.execute(_FIND, {"digest": self._digest(token)}).one_or_none()
        return found.tenant if found is not None else None

    def fetch(self, tenant: Tenant, token: str, *, actor: str, now: datetime) -> Fetch | None:
        """Use a token up and return what it stands for; None when it is unknown, used or too old."""
        here = (exports.c.link_digest == self._digest(token)) & (exports.c.state == ExportState.READY.value)
        with self._database.tenant(tenant.tenant) as connection:
            row = connection.execute(select(exports).where(here).with_for_update()).one_or_none()
            if row is None or row.link_expires_at <= now:
                return None
            try:
                key = _opened(connection, tenant, row)
            except KeyDestroyed:
                return None
            _end(connection, row.export_id, ExportState.FETCHED)
            _audit(connection, tenant, "export.fetched", actor, row)
        return Fetch(tenant.tenant, row.export_id, ExportKind(row.kind), key, row.chunks)

    def expire(self, tenant: Tenant, *, now: datetime) -> int:
        """Give up finished exports that nobody fetched in time; returns how many. Their files go by ``gone``."""
        late = (exports.c.state == ExportState.READY.value) & (exports.c.finished_at <= now - KEPT_FOR)
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(select(exports).where(late).with_for_update(skip_locked=True)).all()
            for row in rows:
                _end(connection, row.export_id, ExportState.EXPIRED)
                _audit(connection, tenant, "export.expired", row.actor, row)
        return len(rows)

    def fail(self, tenant: Tenant, export_id: str) -> None:
        """Give an export up that met a fault."""
        with self._database.tenant(tenant.tenant) as connection:
            _end(connection, export_id, ExportState.FAILED)

    def with_file(self, tenant: Tenant) -> set[str]:
        """Return the exports whose file is still wanted; one being fetched is, for a while."""
        fetched = (exports.c.state == ExportState.FETCHED.value) & (
            exports.c.finished_at > func.clock_timestamp() - BEING_FETCHED
        )
        wanted = exports.c.state.in_((*_OPEN, ExportState.READY.value)) | fetched
        query = select(exports.c.export_id).where(wanted)
        with self._database.tenant(tenant.tenant) as connection:
            return set(connection.execute(query).scalars())

    def _digest(self, token: str) -> bytes:
        return hmac.new(self._pepper, token.encode(), hashlib.sha256).digest()


def advance(connection: Connection, export_id: str, progress: Progress) -> None:
    """Note how far a held export is."""
    position = {"source": progress.source, "after": json.loads(json.dumps(progress.after, default=str))}
    counts = {"chunks": progress.chunks, "bytes": progress.bytes, "records": progress.records}
    here = update(exports).where(exports.c.export_id == export_id)
    connection.execute(here.values(position=position, state=ExportState.RUNNING.value, **counts))


def finish(connection: Connection, tenant: Tenant, export_id: str, *, now: datetime) -> None:
    """Note that a held export's file is whole."""
    here = update(exports).where(exports.c.export_id == export_id)
    connection.execute(here.values(state=ExportState.READY.value, finished_at=now, recipient_id=None, position={}))
    row = _row(connection, export_id)
    _audit(connection, tenant, "export.finished", row.actor, row)


def cancel(connection: Connection, tenant: Tenant, subject: str, *, actor: str) -> None:
    """Cancel every export of a person that could still be written or fetched, in the transaction of their erasure."""
    wanted = exports.c.state.in_((*_OPEN, ExportState.READY.value))
    query = select(exports).where(exports.c.subject_key == subject, wanted).with_for_update()
    for row in connection.execute(query).all():
        _end(connection, row.export_id, ExportState.CANCELLED)
        _audit(connection, tenant, "export.cancelled", actor, row)


def of_subject(connection: Connection, subject: str) -> list[str]:
    """Return the ids of a person's exports, held until the transaction ends."""
    query = select(exports.c.export_id).where(exports.c.subject_key == subject)
    return list(connection.execute(query.with_for_update()).scalars())


def _end(connection: Connection, export_id: str, state: ExportState) -> None:
    gone: dict[str, Any] = {"file_key": None, "link_digest": None, "recipient_id": None, "position": {}}
    here = update(exports).where(exports.c.export_id == export_id)
    connection.execute(here.values(state=state.value, finished_at=func.clock_timestamp(), **gone))


def _row(connection: Connection, export_id: str, *, lock: bool = False, subject: str | None = None) -> Any:
    query = select(exports).where(exports.c.export_id == export_id)
    if subject is not None:
        query = query.where(exports.c.subject_key == subject)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise UnknownExport("there is no such export")
    return row


def _opened(connection: Connection, tenant: Tenant, row: Any) -> bytes:
    place = subject_keys.Place(None, subject_key=row.subject_key, **_place(row.export_id))
    key = subject_keys.of(connection).open_many(connection, tenant, [(place, row.file_key)])[0]
    if key is None:
        raise KeyDestroyed("this subject was erased")
    return key


def _place(export_id: str) -> dict[str, Any]:
    return {"table": exports.name, "column": exports.c.file_key.name, "version": export_id}


def _export(row: Any) -> Export:
    return Export.model_validate({name: row._mapping[name] for name in Export.model_fields})  # noqa: SLF001


def _audit(connection: Connection, tenant: Tenant, action: str, actor: str, row: Any) -> None:
    entry = AuditEntry(
        action=action,
        actor=actor,
        object=f"export:{row.export_id}",
        subject_key=row.subject_key,
        detail={"kind": row.kind, "records": row.records},
    )
    audit.write(connection, tenant, [entry])


_FIND = text("SELECT tenant, export_id FROM kairos_find_export(:digest)")
