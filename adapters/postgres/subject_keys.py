"""Personal fields at rest: sealed under a data key of their subject, which is destroyed when the subject is erased.

AES-256-GCM with a random 96-bit nonce. A sealed value names its data key and opens only in the place it was sealed
for: tenant, subject, table, column and version of the row. Data keys stand in their table, wrapped.
"""

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Row, delete, insert, text

from adapters.keyring import KEY_BYTES, NONCE_BYTES, Keyring
from adapters.postgres import key_uses
from adapters.postgres.engine import keyring_of
from adapters.postgres.subject_key_tables import subject_data_key
from adapters.secrets import CannotOpen
from domain.identity import subject_key
from domain.tenants import Tenant

NO_RECIPIENT = "*"
"""Stands for the subject of a value that belongs to the tenant and to no recipient."""
TOMBSTONE = "erased"
_FORMAT = b"\x01"
_ID_BYTES = 8
_HEAD_BYTES = len(_FORMAT) + _ID_BYTES


class KeyDestroyed(LookupError):
    """The subject was erased: nothing of theirs opens any more, and nothing new is sealed."""


@dataclass(frozen=True)
class Place:
    """Where a value is sealed for; ``version`` tells the rows of one subject apart."""

    recipient_id: str | None
    table: str
    column: str
    version: int | str
    subject_key: str | None = None
    """The subject's pseudonym, where nothing else of them is known."""


@dataclass(frozen=True)
class _DataKey:
    key_id: str
    secret: bytes
    is_retired: bool = False


@dataclass
class _Subject:
    """The keys of one subject, newest last; ``is_erased`` for one who ever was and may have come back."""

    keys: list[_DataKey]
    is_erased: bool = False

    @property
    def is_gone(self) -> bool:
        """Whether they were erased and did not come back: an erasure destroys retired keys too."""
        return self.is_erased and not self.keys

    @property
    def current(self) -> _DataKey | None:
        usable = [key for key in self.keys if not key.is_retired]
        return usable[-1] if usable else None

    def by_id(self, key_id: str) -> _DataKey | None:
        return next((key for key in self.keys if key.key_id == key_id), None)


def of(connection: Connection) -> "SubjectKeys":
    """Return the keys of the installation that a connection belongs to.

    Raises:
        NoKeyring: the database was opened without key-encryption keys.
    """
    return SubjectKeys(keyring_of(connection))


class SubjectKeys:
    """Seals and opens values of subjects, each call with one query for all subjects it concerns."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(
        self,
        connection: Connection,
        tenant: Tenant,
        recipient_id: str | None,
        *,
        table: str,
        column: str,
        version: int | str,
        plain: bytes,
    ) -> bytes:
        """Seal one value; see ``seal_many``.

        Raises:
            KeyDestroyed: the subject was erased.
        """
        place = Place(recipient_id, table, column, version)
        sealed = self.seal_many(connection, tenant, [(place, plain)])[0]
        if sealed is None:
            raise KeyDestroyed("this subject was erased")
        return sealed

    def open(
        self,
        connection: Connection,
        tenant: Tenant,
        recipient_id: str | None,
        *,
        table: str,
        column: str,
        version: int | str,
        sealed: bytes,
    ) -> bytes:
        """Open one value; see ``open_many``.

        Raises:
            KeyDestroyed: the subject was erased.
            CannotOpen: the value was changed, moved, or sealed under a key that is not there.
        """
        place = Place(recipient_id, table, column, version)
        plain = self.open_many(connection, tenant, [(place, sealed)])[0]
        if plain is None:
            raise KeyDestroyed("this subject was erased")
        return plain

    def seal_many(
        self, connection: Connection, tenant: Tenant, given: Sequence[tuple[Place, bytes]]
    ) -> list[bytes | None]:
        """Seal values in the order given; a subject without a key gets one in this transaction.

        Two transactions that meet a new subject at once make a key each, and neither waits for the other.

        Returns:
            The sealed values; None for those of an erased subject, who gets no new key.
        """
        names = [_name(tenant, place) for place, _ in given]
        subjects = self._subjects(connection, tenant, names)
        self._provide(connection, tenant, subjects)
        current = {name: key for name, subject in subjects.items() if (key := subject.current) is not None}
        sealed = [
            _encrypt(key, _bound_to(tenant, name, place), plain) if (key := current.get(name)) is not None else None
            for name, (place, plain) in zip(names, given, strict=True)
        ]
        key_uses.count(connection, tenant.tenant, ((name, current[name].key_id) for name in names if name in current))
        return sealed

    def open_many(
        self, connection: Connection, tenant: Tenant, given: Sequence[tuple[Place, bytes]]
    ) -> list[bytes | None]:
        """Open values in the order given.

        Returns:
            The values; None for what was sealed for a subject before they were erased.

        Raises:
            CannotOpen: a value was changed, moved, or sealed under a key that is not there.
        """
        names = [_name(tenant, place) for place, _ in given]
        subjects = self._subjects(connection, tenant, names)
        return [
            _opened(subjects[name], _bound_to(tenant, name, place), bytes(sealed))
            for name, (place, sealed) in zip(names, given, strict=True)
        ]

    def destroy(self, connection: Connection, tenant: Tenant, recipient_id: str) -> None:
        """Destroy every key of a subject; effective for whoever begins after the commit. Doing it twice is harmless.

        It waits for transactions of the tenant that make keys, and they for it: do it in a transaction of its own.
        """
        name = subject_key(tenant.subject_secret, recipient_id)
        connection.execute(_LOCK_OUT_MAKERS, {"tenant": tenant.tenant})
        connection.execute(delete(subject_data_key).where(subject_data_key.c.subject_key == name))
        connection.execute(_BURY, {"tenant": tenant.tenant, "subject_key": name, "key_id": TOMBSTONE})

    def is_destroyed(self, connection: Connection, tenant: Tenant, recipient_id: str) -> bool:
        """Return whether a subject was erased and has no new key since."""
        name = subject_key(tenant.subject_secret, recipient_id)
        found = self._subjects(connection, tenant, [name])[name]
        return found.is_gone

    def renew(self, connection: Connection, tenant: Tenant, recipient_id: str) -> None:
        """Give an erased subject a new key, because they came back; what was destroyed stays so."""
        name = subject_key(tenant.subject_secret, recipient_id)
        self._make(connection, tenant, [name])

    def _subjects(self, connection: Connection, tenant: Tenant, names: Iterable[str]) -> dict[str, _Subject]:
        found = {name: _Subject([]) for name in sorted(set(names))}
        if found:
            for row in connection.execute(_READ, {"subject_key": list(found)}):
                subject = found[row.subject_key]
                if row.wrapped is None:
                    subject.is_erased = True
                else:
                    subject.keys.append(self._data_key(tenant, row))
        return found

    def _data_key(self, tenant: Tenant, row: Row[tuple[object, ...]]) -> _DataKey:
        bound_to = key_bound_to(tenant.tenant, row.subject_key, row.key_id)
        secret = self._keyring.unwrap(row.wrapped_by, bytes(row.wrapped), bound_to)
        return _DataKey(row.key_id, secret, is_retired=row.retired_at is not None)

    def _provide(self, connection: Connection, tenant: Tenant, subjects: dict[str, _Subject]) -> None:
        """Make the keys that are missing, unless a subject is erased meanwhile."""
        missing = [name for name, subject in subjects.items() if subject.current is None and not subject.is_gone]
        if not missing:
            return
        connection.execute(key_uses.LOCK_AS_MAKER, {"tenant": tenant.tenant})
        # Read again: an erasure may have committed before the lock was ours.
        again = self._subjects(connection, tenant, missing)
        subjects |= again
        wanted = [name for name in missing if again[name].current is None and not again[name].is_gone]
        for name, key in self._make(connection, tenant, wanted).items():
            subjects[name] = _Subject([key])

    def _make(self, connection: Connection, tenant: Tenant, names: Sequence[str]) -> dict[str, _DataKey]:
        made = {name: _DataKey(secrets.token_hex(_ID_BYTES), secrets.token_bytes(KEY_BYTES)) for name in names}
        rows = []
        for name, key in made.items():
            wrapped_by, wrapped = self._keyring.wrap(key.secret, key_bound_to(tenant.tenant, name, key.key_id))
            row = {"tenant": tenant.tenant, "subject_key": name, "key_id": key.key_id}
            rows.append(row | {"wrapped_by": wrapped_by, "wrapped": wrapped})
        if rows:
            connection.execute(insert(subject_data_key), rows)
        return made


def _name(tenant: Tenant, place: Place) -> str:
    if place.recipient_id is None:
        return place.subject_key or NO_RECIPIENT
    return subject_key(tenant.subject_secret, place.recipient_id)


def _bound_to(tenant: Tenant, name: str, place: Place) -> bytes:
    return json.dumps([tenant.tenant, name, place.table, place.column, place.version]).encode()


def key_bound_to(tenant: str, name: str, key_id: str) -> bytes:
    """Return what a wrapped data key is bound to: tenant, subject and its own id."""
    return json.dumps([tenant, name, "data key", key_id]).encode()


def _encrypt(key: _DataKey, bound_to: bytes, plain: bytes) -> bytes:
    head = _FORMAT + bytes.fromhex(key.key_id)
    nonce = secrets.token_bytes(NONCE_BYTES)
    return head + nonce + AESGCM(key.secret).encrypt(nonce, plain, head + bound_to)


def _opened(subject: _Subject, bound_to: bytes, sealed: bytes) -> bytes | None:
    head, rest = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:]
    key = subject.by_id(head[len(_FORMAT) :].hex())
    if key is None:
        if subject.is_erased:
            return None
        raise CannotOpen("a sealed value names a data key that its subject does not have")
    try:
        return AESGCM(key.secret).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], head + bound_to)
    except (InvalidTag, ValueError):
        # ValueError: too short to hold a nonce and a tag.
        raise CannotOpen("a sealed value was changed, or stands in another place than it was sealed for") from None


_READ = text("""
SELECT subject_key, key_id, wrapped_by, wrapped, retired_at FROM subject_data_key
WHERE subject_key = ANY(CAST(:subject_key AS text[])) ORDER BY created_at, key_id
""")

_BURY = text("""
INSERT INTO subject_data_key (tenant, subject_key, key_id) VALUES (:tenant, :subject_key, :key_id)
ON CONFLICT DO NOTHING
""")

_LOCK_OUT_MAKERS = text("SELECT pg_advisory_xact_lock(hashtextextended('kairos.data_key/' || :tenant, 0))")
