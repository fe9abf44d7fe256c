"""Takes edits of preferences in from a recipient's devices: late, twice, in any order, and never half of a request.

A request is one transaction behind the recipient's head: a kill before its commit leaves nothing, and what is sent
again after it was taken in is told so and changes nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

from sqlalchemy import Connection, select

from adapters.postgres import allowances, audit, preferences, synced_preferences
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.preference_sync_tables import preference_edit
from adapters.postgres.preferences import RecipientGone, StoredPreference
from adapters.postgres.synced_preferences import Said, Synced
from domain import preference_edits as rules
from domain import preference_sync as sync
from domain.preference_edits import MAX_DEVICES, SERVER, DeviceEdit, DeviceEdits, Gap, Verdict
from domain.preference_scopes import Scope
from domain.preferences import MAX_PREFERENCES, PreferenceValue
from domain.tenants import Tenant
from domain.values import Frozen, Moment


class EditVerdict(Frozen):
    """What became of one edit; positions as they were sent."""

    preference_id: str
    number: int
    verdict: Verdict
    is_repeated: bool
    expected: str | None = None


class ScopeState(Frozen):
    """What holds for one scope, and the `seen` of the device's next edit of it."""

    preference_id: str
    holds: StoredPreference | None
    seen: dict[str, int]
    acknowledged: int
    missing: list[Gap]


class SyncAnswer(Frozen):
    """The verdict on every edit, and what holds now for each scope that was named."""

    verdicts: list[EditVerdict]
    scopes: list[ScopeState]


class DeviceScope(Frozen):
    """Which edits of a scope arrived from a device: all up to `acknowledged`, and those above that are not missing."""

    preference_id: str
    acknowledged: int
    missing: list[Gap]
    highest: int


class DeviceStatus(Frozen):
    """One device: when it was last heard of, and what it must send again."""

    device: str
    last_seen_at: Moment
    scopes: list[DeviceScope]


class LoggedEdit(Frozen):
    """One edit as it was taken in; the edit is null once the recipient was erased."""

    edit_id: int
    device: str
    preference_id: str
    number: int
    verdict: Verdict
    actor: str
    recorded_at: Moment
    edit: DeviceEdit | None


class PreferenceSync:
    """Brings the preferences of a recipient's devices together."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, tenant: Tenant, recipient_id: str, sent: DeviceEdits, *, actor: str, now: datetime) -> SyncAnswer:
        """Take a device's edits in, and return what became of each and what holds now.

        Args:
            tenant: whose recipient.
            recipient_id: whose device.
            sent: the edits.
            actor: who sends them.
            now: the tenant's clock.

        Raises:
            RecipientGone: the recipient was deleted or erased.
        """
        with self._database.tenant(tenant.tenant) as connection:
            allowances.touch(connection, tenant.tenant, [recipient_id], kind=None)
            if allowances.read(connection, [recipient_id])[recipient_id].is_deleted:
                raise RecipientGone("this recipient was deleted")
            return _Taking(connection, tenant, recipient_id, actor, now).all(sent)

    def status(self, tenant: Tenant, recipient_id: str, *, actor: str) -> list[DeviceStatus]:
        """Return what arrived from each device, the service's own acts left out; reading it is audited."""
        with self._database.tenant(tenant.tenant) as connection:
            rows = synced_preferences.numbers(connection, recipient_id)
            audit.write(connection, tenant, [_entry("read", actor, recipient_id, "status")])
        found = []
        for device, of_device in groupby(rows, key=lambda row: row.device):
            mine = list(of_device)
            if device != SERVER:
                scopes = [
                    _of(each, [r.number for r in some]) for each, some in groupby(mine, lambda r: r.preference_id)
                ]
                last = max(row.recorded_at for row in mine)
                found.append(DeviceStatus(device=device, last_seen_at=last, scopes=scopes))
        return found

    def log(self, tenant: Tenant, recipient_id: str, *, after: int, limit: int, actor: str) -> list[LoggedEdit]:
        """Return the edits behind ``after`` in the order in which they were taken in; reading them is audited."""
        columns = preference_edit.c
        query = select(preference_edit).where((columns.recipient_id == recipient_id) & (columns.edit_id > after))
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(query.order_by(columns.edit_id).limit(limit)).all()
            opened = synced_preferences.opened(connection, tenant, rows)
            audit.write(connection, tenant, [_entry("read", actor, recipient_id, "log")])
        shown = ("edit_id", "device", "preference_id", "number", "verdict", "actor", "recorded_at")
        return [
            LoggedEdit(edit=edit, **{name: getattr(row, name) for name in shown})
            for row, edit in zip(rows, opened, strict=True)
        ]


class _Taking:
    """One request under way."""

    def __init__(self, connection: Connection, tenant: Tenant, recipient_id: str, actor: str, now: datetime) -> None:
        self._connection, self._tenant, self._recipient_id = connection, tenant, recipient_id
        self._actor, self._now = actor, now
        self._stored = preferences.stored(connection, tenant, recipient_id)
        self._deleted = preferences.deleted(connection, recipient_id)
        self._log: list[tuple[Said, Synced]] = []
        self._numbers: dict[tuple[str, str], set[int]] = {}

    def all(self, sent: DeviceEdits) -> SyncAnswer:
        names = {(sent.device, each.number) for each in sent.edits}
        scopes = {each.id: each for each in (*sent.scopes, *(edit.scope for edit in sent.edits))}
        synced = synced_preferences.read(self._connection, self._tenant, self._recipient_id, scopes, names)
        # Before the fold: what it adds nobody was told of yet.
        known = {name: dict(each.known) for name, each in synced.items()}
        for preference_id, each in synced.items():
            self._fold(each, scopes[preference_id])
        is_new = sent.device not in self._devices()
        first = [self._one(sent.device, each, synced[each.scope.id], known, is_new=is_new) for each in sent.edits]
        told = [
            each if isinstance(each, EditVerdict) else _final(each[0], synced, is_repeated=each[1]) for each in first
        ]
        self._write(synced)
        return SyncAnswer(verdicts=told, scopes=self._states(sent.device, synced))

    def _devices(self) -> set[str]:
        rows = synced_preferences.numbers(self._connection, self._recipient_id)
        for row in rows:
            self._numbers.setdefault((row.device, row.preference_id), set()).add(row.number)
        return {row.device for row in rows} - {SERVER}

    def _fold(self, synced: Synced, scope: Scope) -> None:
        """Take what was stored past synchronization for an act that knew of everything before it."""
        stored, gone = self._stored.get(synced.preference_id), self._deleted.get(synced.preference_id)
        version = stored.version if stored else gone[0] if gone else 0
        if version == synced.version:
            return
        at = stored.updated_at if stored else gone[1] if gone else self._now
        value = stored.preference if stored else None
        edit = DeviceEdit(
            number=synced.known.get(SERVER, 0) + 1,
            seen={device: number for device, number in _clamped(synced, synced.known).items() if device != SERVER},
            at=at,
            scope=scope,
            value=_in_force(value.value, is_active=value.is_active) if value else None,
            priority=value.priority if value else 0,
            expires_at=value.expires_at if value else None,
        )
        synced.known[SERVER], synced.version = edit.number, version
        self._take(Said(SERVER, edit), synced)

    def _one(
        self, device: str, edit: DeviceEdit, synced: Synced, known: dict[str, dict[str, int]], *, is_new: bool
    ) -> EditVerdict | tuple[Said, bool]:
        said = Said(device, edit)
        twin = synced.said.get(said.name)
        refused = rules.refusal(
            said.decisive, known[synced.preference_id], twin=twin.decisive if twin is not None else None
        )
        expected = _EXPECTED.get(refused) if refused else None
        if refused is None and twin is None:
            refused, expected = self._not_allowed(device, edit, synced, is_new=is_new)
        if refused is not None:
            return EditVerdict(
                preference_id=edit.scope.id, number=edit.number, verdict=refused, is_repeated=False, expected=expected
            )
        if twin is None:
            self._take(said, synced)
        return said, twin is not None

    def _not_allowed(
        self, device: str, edit: DeviceEdit, synced: Synced, *, is_new: bool
    ) -> tuple[Verdict | None, str | None]:
        asked = edit.preference(device)
        if asked is not None and (found := preferences.refusals(self._connection, asked)):
            return Verdict.NOT_ALLOWED, f"{found[0].field.removeprefix('0.')}: {found[0].expected}"
        if is_new and len({name for name, _ in self._numbers} - {SERVER}) >= MAX_DEVICES:
            return Verdict.TOO_MANY, f"one of at most {MAX_DEVICES} devices"
        there = self._stored.keys() | {each.preference_id for _, each in self._log}
        if synced.preference_id not in there and len(there) >= MAX_PREFERENCES:
            return Verdict.TOO_MANY, f"one of at most {MAX_PREFERENCES} preferences"
        return None, None

    def _take(self, said: Said, synced: Synced) -> None:
        synced.take(said)
        self._log.append((said, synced))

    def _write(self, synced: dict[str, Synced]) -> None:
        touched = {each.preference_id for _, each in self._log}
        logged = [(said, rules.verdict(said.decisive, each.field)) for said, each in self._log]
        if not synced_preferences.append(self._connection, self._tenant, self._recipient_id, logged, actor=self._actor):
            raise RecipientGone("this recipient was erased")
        for preference_id in sorted(touched):
            self._settle(synced[preference_id])
            synced_preferences.keep(self._connection, self._tenant, self._recipient_id, synced[preference_id])
        entry = _entry("synced", self._actor, self._recipient_id, "edits")
        audit.write(self._connection, self._tenant, [entry])

    def _settle(self, synced: Synced) -> None:
        """Store what holds, when something else is stored."""
        holds = sync.standing(synced.field)
        if holds is None:
            return
        said = synced.said.get((holds.device, holds.number))
        scope = next(iter(synced.said.values())).edit.scope
        edit = said.edit if said else DeviceEdit(number=1, at=self._now, scope=scope, value=_DENIED)
        present, wanted = self._stored.get(synced.preference_id), edit.preference(holds.device or SERVER)
        if _content(edit) == (_content_of(present) if present else None):
            return
        if wanted is not None:
            kept = preferences.put(self._connection, self._tenant, self._recipient_id, wanted, actor=self._actor)
            self._stored[synced.preference_id], synced.version = kept, kept.version
        elif present is not None:
            made = (self._now, self._actor)
            synced.version = preferences.delete(
                self._connection, self._tenant, self._recipient_id, synced.preference_id, made=made
            )
            del self._stored[synced.preference_id]

    def _states(self, device: str, synced: dict[str, Synced]) -> list[ScopeState]:
        states = []
        for preference_id, each in sorted(synced.items()):
            arrived = {name: set(all_) for (name, scope), all_ in self._numbers.items() if scope == preference_id}
            for name, number in each.said:
                arrived.setdefault(name, set()).add(number)
            known = {name: rules.gaps(numbers)[0] for name, numbers in arrived.items()}
            acknowledged, missing = rules.gaps(arrived.get(device, ()))
            states.append(
                ScopeState(
                    preference_id=preference_id,
                    holds=self._stored.get(preference_id),
                    seen=_clamped(each, known),
                    acknowledged=acknowledged,
                    missing=missing,
                )
            )
        return states


_DENIED = PreferenceValue(enabled=False)
_EXPECTED = {
    Verdict.NUMBER_REUSED: "a number that this device has not used for another edit of the scope",
    Verdict.SEEN_UNKNOWN: "only edits that an answer of this service has told of",
}


def _clamped(synced: Synced, known: Mapping[str, int]) -> dict[str, int]:
    """Return what may be said to be known: of each device only what arrived without a gap.

    A denial that is still on its way lies in a gap; nobody can have known of it, and nothing may supersede it unseen.
    """
    least = {device: min(number, known.get(device, 0)) for device, number in sync.seen(synced.field)}
    return {device: number for device, number in least.items() if number > 0}


def _final(said: Said, synced: dict[str, Synced], *, is_repeated: bool) -> EditVerdict:
    preference_id = said.edit.scope.id
    found = rules.verdict(said.decisive, synced[preference_id].field)
    return EditVerdict(preference_id=preference_id, number=said.edit.number, verdict=found, is_repeated=is_repeated)


def _in_force(value: PreferenceValue, *, is_active: bool) -> PreferenceValue | None:
    return value if is_active else None


def _content(edit: DeviceEdit) -> object:
    return (edit.value, edit.priority, edit.expires_at) if edit.value is not None else None


def _content_of(stored: StoredPreference) -> object:
    each = stored.preference
    return (each.value, each.priority, each.expires_at) if each.is_active else None


def _of(preference_id: str, numbers: Sequence[int]) -> DeviceScope:
    acknowledged, missing = rules.gaps(numbers)
    return DeviceScope(preference_id=preference_id, acknowledged=acknowledged, missing=missing, highest=numbers[-1])


def _entry(done: str, actor: str, recipient_id: str, what: str) -> AuditEntry:
    return AuditEntry(action=f"preference_sync.{done}", actor=actor, object=f"sync:{what}", recipient_id=recipient_id)
