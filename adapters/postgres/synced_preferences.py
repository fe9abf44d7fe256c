"""What synchronization keeps in PostgreSQL: the edits of a recipient, sealed, and what is known of each preference.

Every function works in a transaction of the tenant that holds the recipient's head.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from sqlalchemy import Connection, Row, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres import subject_keys
from adapters.postgres.preference_sync_tables import preference_edit, synced_preference
from adapters.postgres.subject_keys import Place
from domain import preference_sync
from domain.preference_edits import DeviceEdit, Verdict, gaps
from domain.preference_sync import NOTHING, Edit
from domain.tenants import Tenant

Name = tuple[str, int]
"""A device, and one of its numbers."""


@dataclass(frozen=True)
class Said:
    """An edit, and who said it."""

    device: str
    edit: DeviceEdit

    @property
    def name(self) -> Name:
        """What the edit is called among those of its preference."""
        return self.device, self.edit.number

    @property
    def decisive(self) -> Edit:
        """What decides whether it holds."""
        return self.edit.as_edit(self.device)


@dataclass
class Synced:
    """One preference while edits are taken in."""

    preference_id: str
    field: preference_sync.Field
    version: int
    known: dict[str, int]  # up to which number everything of a device arrived
    said: dict[Name, Said]

    @classmethod
    def nothing(cls, preference_id: str) -> Self:
        """Return one of which no device has said anything."""
        return cls(preference_id, NOTHING, 0, {}, {})

    def take(self, said: Said) -> None:
        """Take one edit in."""
        self.said[said.name] = said
        self.field = preference_sync.with_edits(self.field, [said.decisive])


def read(
    connection: Connection, tenant: Tenant, recipient_id: str, preference_ids: Iterable[str], sent: Iterable[Name]
) -> dict[str, Synced]:
    """Return what is known of preferences, with the edits that count and those of the given names."""
    wanted = sorted(set(preference_ids))
    here = (synced_preference.c.recipient_id == recipient_id) & synced_preference.c.preference_id.in_(wanted)
    rows = {row.preference_id: row for row in connection.execute(select(synced_preference).where(here))}
    names = set(sent)
    said = _said(connection, tenant, recipient_id, wanted, names | {(d, n) for r in rows.values() for d, n in r.edits})
    known = _known(connection, recipient_id, wanted)
    found = {}
    for each in wanted:
        synced = Synced.nothing(each)
        synced.known, synced.said = known.get(each, {}), said.get(each, {})
        if (row := rows.get(each)) is not None:
            synced.version = row.version
            left = frozenset(synced.said[device, number].decisive for device, number in row.edits)
            synced.field = preference_sync.Field(
                tuple(sorted(row.by_acts.items())), tuple(sorted(row.by_others.items())), left
            )
        found[each] = synced
    return found


def keep(connection: Connection, tenant: Tenant, recipient_id: str, synced: Synced) -> None:
    """Store what is known of a preference now."""
    statement = upsert(synced_preference).values(
        tenant=tenant.tenant,
        recipient_id=recipient_id,
        preference_id=synced.preference_id,
        by_acts=dict(synced.field.by_acts),
        by_others=dict(synced.field.by_others),
        edits=sorted([edit.device, edit.number] for edit in synced.field.edits),
        version=synced.version,
    )
    changed = {name: statement.excluded[name] for name in ("by_acts", "by_others", "edits", "version")}
    keys = ["tenant", "recipient_id", "preference_id"]
    connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=changed | {"updated_at": func.clock_timestamp()})
    )


def append(
    connection: Connection, tenant: Tenant, recipient_id: str, said: Sequence[tuple[Said, Verdict]], *, actor: str
) -> bool:
    """Append edits to the log; False when the recipient was erased and nothing was."""
    places = [
        (_place(recipient_id, each.edit.scope.id, each.name), each.edit.model_dump_json().encode()) for each, _ in said
    ]
    sealed = subject_keys.of(connection).seal_many(connection, tenant, places) if places else []
    if any(part is None for part in sealed):
        return False
    rows = [
        {
            "tenant": tenant.tenant,
            "recipient_id": recipient_id,
            "preference_id": each.edit.scope.id,
            "device": each.device,
            "number": each.edit.number,
            "sealed": part,
            "verdict": verdict.value,
            "actor": actor,
        }
        for (each, verdict), part in zip(said, sealed, strict=True)
    ]
    if rows:
        connection.execute(insert(preference_edit), rows)
    return True


def opened(connection: Connection, tenant: Tenant, rows: Sequence[Row[Any]]) -> list[DeviceEdit | None]:
    """Return the edits of rows of the log; None where the recipient was erased."""
    places = [(_place(r.recipient_id, r.preference_id, (r.device, r.number)), bytes(r.sealed)) for r in rows]
    plain = subject_keys.of(connection).open_many(connection, tenant, places) if places else []
    return [DeviceEdit.model_validate_json(each) if each is not None else None for each in plain]


def numbers(connection: Connection, recipient_id: str) -> list[Row[Any]]:
    """Return every (device, preference_id, number, recorded_at) of a recipient, sorted."""
    columns = preference_edit.c
    chosen = select(columns.device, columns.preference_id, columns.number, columns.recorded_at)
    mine = chosen.where(columns.recipient_id == recipient_id)
    return list(connection.execute(mine.order_by(columns.device, columns.preference_id, columns.number)))


def _said(
    connection: Connection, tenant: Tenant, recipient_id: str, preference_ids: Sequence[str], names: set[Name]
) -> dict[str, dict[Name, Said]]:
    columns = preference_edit.c
    here = (columns.recipient_id == recipient_id) & columns.preference_id.in_(preference_ids)
    asked = here & columns.number.in_(sorted({number for _, number in names}))
    query = select(preference_edit).where(asked & columns.device.in_(sorted({device for device, _ in names})))
    rows = connection.execute(query).all()
    found: dict[str, dict[Name, Said]] = {}
    for row, edit in zip(rows, opened(connection, tenant, rows), strict=True):
        if edit is not None:
            found.setdefault(row.preference_id, {})[row.device, row.number] = Said(row.device, edit)
    return found


def _known(connection: Connection, recipient_id: str, preference_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return up to which number everything arrived, by preference and device."""
    arrived: dict[str, dict[str, list[int]]] = {}
    for row in numbers(connection, recipient_id):
        if row.preference_id in preference_ids:
            arrived.setdefault(row.preference_id, {}).setdefault(row.device, []).append(row.number)
    return {name: {device: gaps(each)[0] for device, each in found.items()} for name, found in arrived.items()}


def _place(recipient_id: str, preference_id: str, name: Name) -> Place:
    return Place(recipient_id, "preference_edit", "sealed", f"{preference_id}|{name[0]}|{name[1]}")
