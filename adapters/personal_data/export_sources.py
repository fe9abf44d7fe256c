"""Where an export reads: every table that names a recipient or a pseudonym, found in the schema, in pages by key.

A page is small whatever a person's data amounts to. What is sealed is opened; what is secret to us is left out.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, LargeBinary, Row, Select, select, tuple_

from adapters.personal_data import place_names
from adapters.personal_data.places import Person
from adapters.postgres import consent_proofs, contests, dead_letters, preferences, subject_keys, synced_preferences
from adapters.postgres.schema import metadata
from adapters.postgres.subject_keys import Place
from adapters.postgres.tables import dead_letter

PAGE = 100
Record = dict[str, Any]

LEFT_OUT = {
    "consent_head": "a counter; names the recipient and nothing about them",
    "data_export": "this export itself",
    "erasure": "a person with an open request gets no export; a finished one names nobody",
    "idempotency_record": "copies of answers given, for at most a day; what they told is exported where it stands",
    "subject_data_key": "the keys what is sealed is under, which open nothing for anybody else",
}
"""Tables that name a recipient or a pseudonym and are not exported, each with the reason."""


class Source(Protocol):
    """One store that holds records of a person."""

    @property
    def name(self) -> str:
        """Its name in the export."""

    def page(self, connection: Connection, person: Person, after: Any) -> tuple[list[Record], Any]:
        """Return some records behind ``after``, None for the first, and where to go on; None after the last."""


class TableSource:
    """A table of PostgreSQL; ``after`` is the primary key of the row before, without the tenant."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._table = metadata.tables[name]
        self._keys = [each for each in self._table.primary_key.columns if each.name != "tenant"]

    def page(self, connection: Connection, person: Person, after: Any) -> tuple[list[Record], Any]:
        """Return the next rows with what is sealed in them opened."""
        rows = connection.execute(self._query(person, after)).all()
        records = [self._record(row) for row in rows]
        if rows and self.name in _OPENERS:
            opened = _OPENERS[self.name](connection, person, rows)
            records = [{**record, **plain} for record, plain in zip(records, opened, strict=True)]
        end = [getattr(rows[-1], each.name) for each in self._keys] if len(rows) == PAGE else None
        return records, end

    def _query(self, person: Person, after: Any) -> Select[Any]:
        columns = self._table.c
        whose = (
            columns.recipient_id == person.recipient_id
            if "recipient_id" in columns
            else columns.subject_key == person.subject_key
        )
        query = select(self._table).where(whose).order_by(*self._keys).limit(PAGE)
        if after is None:
            return query
        given = [each.type.python_type for each in self._keys]
        typed = [_typed(kind, value) for kind, value in zip(given, after, strict=True)]
        return query.where(tuple_(*self._keys) > tuple_(*typed))

    def _record(self, row: Row[Any]) -> Record:
        shown = [
            each.name
            for each in self._table.c
            if each.name != "tenant" and (not isinstance(each.type, LargeBinary) or each.name in _SHOWN_BYTES)
        ]
        return {name: getattr(row, name) for name in shown if getattr(row, name) is not None}


class Letters:
    """What was received from the person and is no event, sealed for them."""

    name = "dead_letter"

    def page(self, connection: Connection, person: Person, after: Any) -> tuple[list[Record], Any]:
        """Return the next letters."""
        query = select(dead_letter).where(
            dead_letter.c.sealed_for == person.subject_key, dead_letter.c.dead_letter_id > (after or 0)
        )
        rows = connection.execute(query.order_by(dead_letter.c.dead_letter_id).limit(PAGE)).all()
        raws = dead_letters.opened(connection, person.tenant, rows)
        records = [
            {"received_at": row.received_at, "origin": row.origin, "reason": row.reason}
            | {"raw": raw.decode(errors="backslashreplace")}
            for row, raw in zip(rows, raws, strict=True)
        ]
        return records, rows[-1].dead_letter_id if len(rows) == PAGE else None


def tables() -> list[Source]:
    """Return the tables of an access export."""
    named = {table.name for table in metadata.sorted_tables if {"recipient_id", "subject_key"} & set(table.c.keys())}
    return [TableSource(name) for name in sorted(named - LEFT_OUT.keys() - {place_names.DEAD_LETTERS})]


_Opener = Callable[[Connection, Person, Sequence[Row[Any]]], list[Mapping[str, Any]]]


def _profile(connection: Connection, person: Person, rows: Sequence[Row[Any]]) -> list[Mapping[str, Any]]:
    given = [
        (Place(person.recipient_id, "profile", "document", row.version), row.document)
        for row in rows
        if row.document is not None
    ]
    plain = iter(subject_keys.of(connection).open_many(connection, person.tenant, given) if given else [])
    return [_loaded("profile", next(plain)) if row.document is not None else {} for row in rows]


def _proofs(connection: Connection, person: Person, rows: Sequence[Row[Any]]) -> list[Mapping[str, Any]]:
    opened = consent_proofs.opened(connection, person.tenant, [row._mapping for row in rows])  # noqa: SLF001
    return [{"proof": proof} for proof in opened]


def _preferences(connection: Connection, person: Person, rows: Sequence[Row[Any]]) -> list[Mapping[str, Any]]:
    given = [(r.recipient_id, r.preference_id, r.version, r.document, r.sealed and bytes(r.sealed)) for r in rows]
    opened = preferences.opened(connection, person.tenant, given)
    return [{"document": each.model_dump(mode="json")} if each is not None else {} for each in opened]


def _preference_versions(connection: Connection, person: Person, rows: Sequence[Row[Any]]) -> list[Mapping[str, Any]]:
    given = [
        (Place(person.recipient_id, "preference_version", "sealed", f"{row.preference_id}|{row.version}"), row.sealed)
        for row in rows
    ]
    opened = subject_keys.of(connection).open_many(connection, person.tenant, given)
    return [_loaded("document", plain) for plain in opened]


def _edits(connection: Connection, person: Person, rows: Sequence[Row[Any]]) -> list[Mapping[str, Any]]:
    opened = synced_preferences.opened(connection, person.tenant, rows)
    return [{"edit": each.model_dump(mode="json")} if each is not None else {} for each in opened]


def _audited(connection: Connection, person: Person, rows: Sequence[Row[Any]]) -> list[Mapping[str, Any]]:
    given = [
        (Place(None, "audit", "values_sealed", f"{row.action}|{row.object}", row.subject_key), row.values_sealed)
        for row in rows
        if row.values_sealed is not None
    ]
    plain = iter(subject_keys.of(connection).open_many(connection, person.tenant, given) if given else [])
    return [_loaded("values", next(plain)) if row.values_sealed is not None else {} for row in rows]


def _loaded(name: str, plain: bytes | None) -> dict[str, Any]:
    return {name: json.loads(plain)} if plain is not None else {}


def _typed(kind: type, value: Any) -> Any:
    from datetime import date, datetime

    if isinstance(value, str) and issubclass(kind, datetime | date):
        return kind.fromisoformat(value)
    return value


def _contests(connection: Connection, person: Person, rows: Sequence[Row[Any]]) -> list[Mapping[str, Any]]:
    return [dict(each) for each in contests.opened(connection, person.tenant, rows)]


_OPENERS: Mapping[str, _Opener] = {
    "profile": _profile,
    "profile_version": _profile,
    "consent_record": _proofs,
    "preference": _preferences,
    "preference_edit": _edits,
    "preference_version": _preference_versions,
    "audit": _audited,
    "decision_contest": _contests,
}
_SHOWN_BYTES = frozenset({"address_hash"})
