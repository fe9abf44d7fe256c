"""Advice on preferences in PostgreSQL: one query reads what a recipient answered, and only their act stores anything.

What is accepted is worked out again behind the recipient's head, so nothing is stored that would not be suggested now.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from adapters.postgres import allowances, audit, choices, preferences
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.preference_advice_tables import preference_advice_answer as answers
from adapters.postgres.preferences import RecipientGone, StoredPreference
from domain.changes import ChangeKind
from domain.preference_advice import SILENT_FOR, Act, Advice, Answer, Recommendation, accepted
from domain.tenants import Tenant
from domain.values import Channel
from models.preference_advice.advise import advise, refused
from models.preference_advice.score import Message
from models.preference_advice.spec import WINDOW_DAYS

MOST_MESSAGES = 2_000
"""The newest so many messages of a recipient are looked at."""


class UnknownRecommendation(LookupError):
    """Nothing of this name is suggested to the recipient now."""


class PreferenceAdvice:
    """Says what might be preferred, and does what the recipient says to it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, tenant: Tenant, recipient_id: str, *, actor: str, now: datetime) -> Advice:
        """Return what is suggested to a recipient; reading it is audited.

        Raises:
            RecipientGone: the recipient was deleted.
        """
        with self._database.tenant(tenant.tenant) as connection:
            found = _advice(connection, tenant, recipient_id, now)
            audit.write(connection, tenant, [_entry("read", "*", actor, recipient_id)])
        return found

    def accept(
        self,
        tenant: Tenant,
        recipient_id: str,
        recommendation_id: str,
        *,
        actor: str,
        proof: Mapping[str, Any],
        now: datetime,
    ) -> tuple[Recommendation, StoredPreference]:
        """Store what is suggested as the recipient's own preference, and return both.

        Args:
            tenant: whose recipient.
            recipient_id: who accepts.
            recommendation_id: what.
            actor: who passes it on.
            proof: how the recipient said so; kept in the audit record, sealed.
            now: the tenant's clock.

        Raises:
            UnknownRecommendation: it is not suggested now.
            RecipientGone: the recipient was deleted.
            NotAllowed: the preference cannot be stored.
        """
        with self._database.tenant(tenant.tenant) as connection:
            each = _held(connection, tenant, recipient_id, recommendation_id, now)
            held = choices.read(connection, tenant, [recipient_id], now=now)[recipient_id].choices
            made = accepted(each, held, now)
            stored = preferences.put(connection, tenant, recipient_id, made, actor=actor)
            _note(connection, tenant, recipient_id, each, Act.ACCEPTED, (now, actor), proof)
        return each, stored

    def dismiss(
        self, tenant: Tenant, recipient_id: str, recommendation_id: str, *, actor: str, now: datetime
    ) -> tuple[Recommendation, Answer]:
        """Remember that a recipient does not want what is suggested, and return both.

        Raises:
            UnknownRecommendation: it is not suggested now.
            RecipientGone: the recipient was deleted.
        """
        with self._database.tenant(tenant.tenant) as connection:
            each = _held(connection, tenant, recipient_id, recommendation_id, now)
            _note(connection, tenant, recipient_id, each, Act.DISMISSED, (now, actor), {})
        return each, Answer(
            recommendation_id=recommendation_id, act=Act.DISMISSED, at=now, silent_until=now + SILENT_FOR
        )


def _advice(connection: Connection, tenant: Tenant, recipient_id: str, now: datetime) -> Advice:
    held = choices.read(connection, tenant, [recipient_id], now=now)[recipient_id]
    if held.is_deleted:
        raise RecipientGone("this recipient was deleted")
    refusal = held.personalization_refusal(Channel, now)
    if refusal is not None:
        return refused(refusal, now)
    return advise(_messages(connection, recipient_id, now), held.choices, _silent(connection, recipient_id, now), now)


def _held(
    connection: Connection, tenant: Tenant, recipient_id: str, recommendation_id: str, now: datetime
) -> Recommendation:
    """Hold the recipient's head and return what is suggested under a name."""
    allowances.touch(connection, tenant.tenant, [recipient_id], kind=ChangeKind.PREFERENCE)
    found = _advice(connection, tenant, recipient_id, now)
    named = (each for each in found.recommendations if each.recommendation_id == recommendation_id)
    each = next(named, None)
    if each is None:
        raise UnknownRecommendation("nothing of this name is suggested now")
    return each


def _messages(connection: Connection, recipient_id: str, now: datetime) -> list[Message]:
    since = now - timedelta(days=WINDOW_DAYS)
    rows = connection.execute(
        _MESSAGES, {"recipient_id": recipient_id, "since": since, "now": now, "most": MOST_MESSAGES}
    )
    return [Message(**row) for row in rows.mappings()]


def _silent(connection: Connection, recipient_id: str, now: datetime) -> set[str]:
    mine = (answers.c.recipient_id == recipient_id) & (answers.c.at > now - SILENT_FOR)
    return set(connection.execute(select(answers.c.recommendation_id).where(mine)).scalars())


def _note(
    connection: Connection,
    tenant: Tenant,
    recipient_id: str,
    each: Recommendation,
    act: Act,
    made: tuple[datetime, str],
    proof: Mapping[str, Any],
) -> None:
    at, actor = made
    row = {"tenant": tenant.tenant, "recipient_id": recipient_id, "recommendation_id": each.recommendation_id}
    said = {"act": act.value, "at": at, "actor": actor}
    keys = ["tenant", "recipient_id", "recommendation_id"]
    statement = upsert(answers).values(row | said)
    connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=said | {"recorded_at": func.clock_timestamp()})
    )
    new = {"recommendation": each.model_dump(mode="json"), "proof": dict(proof)}
    entry = _entry(act.value, each.recommendation_id, actor, recipient_id)
    audit.write(connection, tenant, [entry.model_copy(update={"new": new})])


def _entry(done: str, name: str, actor: str, recipient_id: str) -> AuditEntry:
    return AuditEntry(
        action=f"preference_advice.{done}",
        actor=actor,
        object=f"preference_advice:{name}",
        recipient_id=recipient_id,
    )


_MESSAGES = text("""
WITH sent AS (
    SELECT e.tenant, e.decision_id, bool_or(e.type IN ('clicked', 'converted')) AS answered,
        bool_or(e.type IN ('unsubscribed', 'complained')) AS opted_out
    FROM event e
    WHERE e.recipient_id = :recipient_id AND e.occurred_at BETWEEN :since AND :now AND e.decision_id IS NOT NULL
        AND e.type IN ('notification_sent', 'delivered', 'clicked', 'converted', 'unsubscribed', 'complained')
    GROUP BY e.tenant, e.decision_id
)
SELECT d.channel, d.category, CAST(floor(extract(epoch FROM :now - d.decided_at) / 604800) AS int) AS week,
    s.answered, s.opted_out
FROM sent s JOIN decision d ON d.tenant = s.tenant AND d.decision_id = s.decision_id
WHERE d.channel IS NOT NULL AND d.decided_at BETWEEN :since AND :now
ORDER BY d.decided_at DESC, d.decision_id LIMIT :most
""")
"""Opens are not counted: some are a machine's, and where tracking is not allowed they may not be used."""
