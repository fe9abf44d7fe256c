"""Consents in PostgreSQL: every record is kept, and one state row per purpose and scope says what holds.

A change is effective when its transaction has committed: no decision that commits later can miss it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres import allowances, audit, consent_proofs
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.tables import channel_switch, consent_record, consent_state
from domain.changes import ChangeKind
from domain.consent import (
    ChannelScope,
    ConsentChange,
    ConsentState,
    ConsentStatus,
    proof_hash,
    refusal,
    successor,
)
from domain.gates import Allowances
from domain.switches import ChannelSwitch
from domain.tenants import Tenant
from domain.values import ANY_CHANNEL, Purpose, Reason

Changes = Mapping[str, Sequence[ConsentChange]]
"""Consent changes by recipient, each recipient's in the order they were said."""


class ConsentStore:
    """Records consents and switches, and tells what holds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @allowances.again_if_moved
    def record(
        self, tenant: Tenant, recipient_id: str, changes: Sequence[ConsentChange], *, actor: str, now: datetime
    ) -> tuple[ConsentState, ...]:
        """Record what one recipient said and return what holds afterwards; effective when this returns."""
        with self._database.tenant(tenant.tenant) as connection:
            recipient_id = allowances.survivor(connection, recipient_id)
            apply(connection, tenant, {recipient_id: changes}, actor=actor, now=now)
            # In the same transaction, which holds the head: nothing else can hold at the commit.
            return allowances.read(connection, [recipient_id])[recipient_id].consents

    @allowances.again_if_moved
    def record_many(self, tenant: Tenant, changes: Changes, *, actor: str, now: datetime) -> None:
        """Record what several recipients said, all or nothing.

        Raises:
            Unavailable: PostgreSQL could not commit; nothing was recorded.
        """
        with self._database.tenant(tenant.tenant) as connection:
            apply(connection, tenant, _resolved(connection, changes), actor=actor, now=now)

    @allowances.again_if_moved
    def withdraw_once(
        self, tenant: Tenant, recipient_id: str, change: ConsentChange, *, actor: str, now: datetime
    ) -> bool:
        """Record a withdrawal unless it holds already; a repeat leaves no second record and no second audit row.

        Returns:
            Whether it was recorded now.
        """
        with self._database.tenant(tenant.tenant) as connection:
            recipient_id = allowances.survivor(connection, recipient_id)
            # Two clicks at once wait for each other here.
            connection.execute(_ONE_AT_A_TIME, {"name": f"kairos.withdraw.{tenant.tenant}.{recipient_id}"})
            held = allowances.read(connection, [recipient_id])[recipient_id].consents
            reason = refusal(held, purpose=change.purpose, channel=change.channel, now=now)
            if reason in _DENIED and not _given_somewhere(held, change, now):
                return False
            apply(connection, tenant, {recipient_id: [change]}, actor=actor, now=now)
        return True

    @allowances.again_if_moved
    def record_once(
        self, tenant: Tenant, said: Sequence[tuple[str, ConsentChange]], *, actor: str, now: datetime
    ) -> list[bool]:
        """Record changes of several recipients, all or nothing, and return which of them are new.

        A dated one is known when a record says the same of the same moment, an undated denial when it holds already.

        Raises:
            Unavailable: PostgreSQL could not commit; nothing was recorded.
        """
        if not said:
            return []
        with self._database.tenant(tenant.tenant) as connection:
            standing_for = allowances.survivors(connection, {recipient for recipient, _ in said})
            said = [(standing_for[recipient], change) for recipient, change in said]
            whose = sorted({recipient for recipient, _ in said})
            # Whoever brings the same records at once waits here; so do changes by other ways, which keeps the order.
            allowances.touch(connection, tenant.tenant, whose, kind=None)
            held = allowances.read(connection, whose)
            known = {tuple(row) for row in connection.execute(_SAID.where(consent_record.c.recipient_id.in_(whose)))}
            new, changes = [], defaultdict[str, list[ConsentChange]](list)
            for recipient, change in said:
                words = (recipient, change.purpose, change.channel, change.status, change.effective_at)
                is_known = words in known if change.effective_at else _holds(held[recipient], change, now)
                new.append(not is_known)
                if not is_known:
                    known.add(words)
                    changes[recipient].append(change)
            apply(connection, tenant, changes, actor=actor, now=now)
        return new

    @allowances.again_if_moved
    def switch(self, tenant: Tenant, recipient_id: str, switch: ChannelSwitch, *, actor: str, source: str) -> None:
        """Turn a channel of a recipient on or off; effective when this returns."""
        values = {"is_on": switch.is_on, "source": source}
        with self._database.tenant(tenant.tenant) as connection:
            recipient_id = allowances.survivor(connection, recipient_id)
            row = {"tenant": tenant.tenant, "recipient_id": recipient_id, "channel": switch.channel}
            allowances.touch(connection, tenant.tenant, [recipient_id], kind=ChangeKind.SWITCH)
            present = allowances.read(connection, [recipient_id])[recipient_id].switches
            known = {each.channel: each.is_on for each in present}
            statement = insert(channel_switch).values(row | values)
            keys = ["tenant", "recipient_id", "channel"]
            connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))
            entry = AuditEntry(
                action="channel.switched_on" if switch.is_on else "channel.switched_off",
                actor=actor,
                object=f"channel:{switch.channel}",
                recipient_id=recipient_id,
                detail={"source": source},
                old=known.get(switch.channel),
                new=switch.is_on,
            )
            audit.write(connection, tenant, [entry])

    def allowances(self, tenant: Tenant, recipient_id: str) -> Allowances:
        """Return what a recipient allows now."""
        with self._database.tenant(tenant.tenant) as connection:
            return allowances.read(connection, [recipient_id])[recipient_id]

    def disclose(self, tenant: Tenant, recipient_id: str, *, actor: str) -> tuple[Allowances, list[dict[str, Any]]]:
        """Return what a recipient allows now and every consent record, oldest first; reading them is audited."""
        query = select(consent_record).where(consent_record.c.recipient_id == recipient_id)
        entry = AuditEntry(action="consent.read", actor=actor, object="consent", recipient_id=recipient_id)
        with self._database.tenant(tenant.tenant) as connection:
            allowed = allowances.read(connection, [recipient_id])[recipient_id]
            rows = connection.execute(query.order_by(consent_record.c.record_id)).mappings().all()
            proofs = consent_proofs.opened(connection, tenant, rows)
            audit.write(connection, tenant, [entry])
        known = [{name: value for name, value in row.items() if name not in _INTERNAL} for row in rows]
        return allowed, [row | {"proof": proof} for row, proof in zip(known, proofs, strict=True)]


_DENIED = (Reason.CONSENT_WITHDRAWN, Reason.CONSENT_REFUSED)
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")


_SAID = select(
    consent_record.c.recipient_id,
    consent_record.c.purpose,
    consent_record.c.channel,
    consent_record.c.status,
    consent_record.c.effective_at,
)


def _holds(held: Allowances, change: ConsentChange, now: datetime) -> bool:
    reason = refusal(held.consents, purpose=change.purpose, channel=change.channel, now=now)
    return change.status.is_denial and reason in _DENIED and not _given_somewhere(held.consents, change, now)


def _given_somewhere(held: Sequence[ConsentState], change: ConsentChange, now: datetime) -> bool:
    """Tell whether a denial for every channel still has a grant for one of them to take away."""
    if change.channel != ANY_CHANNEL:
        return False
    given = (each for each in held if each.purpose is change.purpose and each.status is ConsentStatus.GIVEN)
    special = (each.channel for each in given if each.channel != ANY_CHANNEL)
    return any(refusal(held, purpose=change.purpose, channel=each, now=now) not in _DENIED for each in special)


def _resolved(connection: Connection, changes: Changes) -> Changes:
    """Return the changes by who stands for each recipient now, what was said of two aliases one after the other."""
    standing_for = allowances.survivors(connection, changes)
    found = defaultdict[str, list[ConsentChange]](list)
    for recipient, theirs in changes.items():
        found[standing_for[recipient]].extend(theirs)
    return found


_INTERNAL = {"tenant", "recipient_id", "proof_sealed"}


def apply(connection: Connection, tenant: Tenant, changes: Changes, *, actor: str, now: datetime) -> None:
    """Record consent changes in a transaction that is under way, such as the one that stores an event."""
    recipients = sorted(recipient for recipient, said in changes.items() if said)
    if not recipients:
        return
    allowances.touch(connection, tenant.tenant, recipients, kind=ChangeKind.CONSENT)
    present = allowances.read(connection, recipients)
    said = [each for who in recipients for each in _said(who, changes[who], present[who].consents, now)]
    record_ids = _append(connection, tenant, said, actor=actor)
    _store(connection, tenant.tenant, _standing(said, record_ids))
    audit.write(connection, tenant, [_entry(each, actor) for each in said])


@dataclass(frozen=True)
class _Said:
    """One change, the state it stands for, and whether that is what holds now."""

    recipient_id: str
    change: ConsentChange
    state: ConsentState
    before: ConsentState | None
    holds: bool


def _said(
    recipient_id: str, changes: Sequence[ConsentChange], present: Sequence[ConsentState], now: datetime
) -> Iterator[_Said]:
    standing = {(state.purpose, state.channel): state for state in present}
    for change in changes:
        new = change.state(now, standing.values())
        key = (new.purpose, new.channel)
        before = standing.get(key)
        standing[key] = successor(before, new)
        yield _Said(recipient_id, change, new, before, holds=standing[key] is new and new != before)


def _append(connection: Connection, tenant: Tenant, said: Sequence[_Said], *, actor: str) -> list[int]:
    proofs = consent_proofs.sealed(connection, tenant, [(each.recipient_id, each.change, each.state) for each in said])
    rows = [
        each.change.model_dump(mode="python", exclude={"proof"})
        | {
            "tenant": tenant.tenant,
            "recipient_id": each.recipient_id,
            "actor": actor,
            "effective_at": each.state.effective_at,
            "proof_sealed": proof,
            "address_hash": _address_hash(tenant, each.change),
        }
        for each, proof in zip(said, proofs, strict=True)
    ]
    statement = insert(consent_record).returning(consent_record.c.record_id, sort_by_parameter_order=True)
    return list(connection.execute(statement, rows).scalars())


def _address_hash(tenant: Tenant, change: ConsentChange) -> str | None:
    return proof_hash(tenant.subject_secret, change.address) if change.address is not None else None


_Standing = dict[tuple[str, Purpose, ChannelScope], tuple[ConsentState, int]]


def _standing(said: Sequence[_Said], record_ids: Sequence[int]) -> _Standing:
    """Return the states that changed, each with the record that made it."""
    return {
        (each.recipient_id, each.state.purpose, each.state.channel): (each.state, record_id)
        for each, record_id in zip(said, record_ids, strict=True)
        if each.holds
    }


def _store(connection: Connection, tenant: str, changed: _Standing) -> None:
    rows = [
        state.model_dump(mode="python") | {"tenant": tenant, "recipient_id": recipient, "record_id": record_id}
        for (recipient, _, _), (state, record_id) in changed.items()
    ]
    if rows:
        statement = insert(consent_state)
        keys = ["tenant", "recipient_id", "purpose", "channel"]
        values = {name: statement.excluded[name] for name in ("status", "effective_at", "expires_at", "record_id")}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=values), rows)


def _entry(said: _Said, actor: str) -> AuditEntry:
    change = said.change
    return AuditEntry(
        action=f"consent.{change.status.value}",
        actor=actor,
        object=f"consent:{change.purpose.value}:{change.channel}",
        recipient_id=said.recipient_id,
        detail={"source": change.source, "text_version": change.text_version},
        old=said.before.model_dump(mode="json") if said.before else None,
        new=said.state.model_dump(mode="json") | {"holds": said.holds},
    )
