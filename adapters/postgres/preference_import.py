"""Stores imported preferences: a denial always, an allow only where nobody ever said anything, a consent never.

One recipient's row is one transaction behind their head; a file that was cut off is imported again from its start.
"""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from adapters.postgres import allowances, consent, preferences, synced_preferences
from adapters.postgres.engine import Database
from adapters.postgres.preferences import NotAllowed, RecipientGone
from domain import preferences as rules
from domain.consent import ConsentChange, ConsentStatus
from domain.preference_imports import Imported
from domain.preferences import Preference
from domain.tenants import Tenant
from domain.values import ANY_CHANNEL, Purpose


@dataclass
class RowResult:
    """What became of one row: counts of preferences by verdict, and what a person should know."""

    denied: int = 0
    allowed: int = 0
    present: int = 0
    kept_back: int = 0
    refused: str | None = None
    notes: list[str] = field(default_factory=list)


class PreferenceImport:
    """Imports rows for a tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, tenant: Tenant, row: Imported, *, actor: str, now: datetime, is_trial: bool) -> RowResult:
        """Store what a row asks for, all or nothing, and return what became of it; a trial stores nothing.

        Args:
            tenant: whose recipient.
            row: as it was mapped.
            actor: who imports.
            now: the tenant's clock.
            is_trial: whether only to say what would become of it.
        """
        result = RowResult(notes=list(row.notes))
        try:
            with self._database.tenant(tenant.tenant) as connection, connection.begin_nested() as stored:
                _row(connection, tenant, row, result, made=(now, actor))
                if is_trial:
                    stored.rollback()
        except (NotAllowed, RecipientGone) as error:
            return RowResult(refused=str(error), notes=list(row.notes))
        return result


def _row(
    connection: Connection, tenant: Tenant, row: Imported, result: RowResult, *, made: tuple[datetime, str]
) -> None:
    now, actor = made
    row = row._replace(recipient_id=allowances.survivor(connection, row.recipient_id))
    allowances.touch(connection, tenant.tenant, [row.recipient_id], kind=None)
    held = allowances.read(connection, [row.recipient_id])[row.recipient_id]
    if held.is_deleted:
        raise RecipientGone("this recipient was deleted")
    if row.withdraws_marketing:
        _withdraw(connection, tenant, row.recipient_id, result, made=made)
    stored = preferences.stored(connection, tenant, row.recipient_id)
    there = {name: each.preference for name, each in stored.items()}
    for each in sorted(row.preferences, key=lambda given: not given.value.is_denial):
        if each.value.is_denial:
            present = there.get(each.preference_id)
            is_there = present is not None and present.counts(now) and present.value.is_denial
            if is_there and present is not None and present.expires_at is None:
                result.present += 1
                continue
            result.denied += 1
        elif (why := _kept_back(connection, row.recipient_id, each, there, now)) is not None:
            result.kept_back += 1
            result.notes.append(f"{_told(each)}: {why}; not imported")
            continue
        else:
            result.allowed += 1
        preferences.put(connection, tenant, row.recipient_id, each, actor=actor)
        there[each.preference_id] = each


def _kept_back(
    connection: Connection, recipient_id: str, asked: Preference, there: dict[str, Preference], now: datetime
) -> str | None:
    """Return why an allow does not count, or None."""
    name = asked.preference_id
    if name in there:
        return "something is stored for the scope already"
    if name in preferences.deleted(connection, recipient_id):
        return "it was said and taken back here"
    if any(row.preference_id == name for row in synced_preferences.numbers(connection, recipient_id)):
        return "a device of the recipient said something"
    if rules.conflicts([asked, *there.values()], now):
        return "a more general preference denies"
    return None


def _withdraw(
    connection: Connection, tenant: Tenant, recipient_id: str, result: RowResult, *, made: tuple[datetime, str]
) -> None:
    now, actor = made
    held = allowances.read(connection, [recipient_id])[recipient_id].consents
    marketing = [each for each in held if each.purpose is Purpose.MARKETING]
    is_denied = any(each.channel == ANY_CHANNEL and each.status.is_denial for each in marketing)
    if is_denied and not any(each.status is ConsentStatus.GIVEN for each in marketing):
        result.present += 1
        return
    change = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.WITHDRAWN, source="import:knock")
    consent.apply(connection, tenant, {recipient_id: [change]}, actor=actor, now=now)
    result.denied += 1


def _told(preference: Preference) -> str:
    scope = preference.scope
    parts = {"channel": scope.channel, "category": scope.category, "content_type": scope.content_type}
    return ", ".join(f"{name} {value}" for name, value in parts.items() if value is not None)
