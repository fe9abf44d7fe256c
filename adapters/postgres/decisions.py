"""Decisions in PostgreSQL: gathered in one reading, recorded in the transaction that locks what is allowed.

One id is one decision, whoever asks again and however many ask at once; nothing recorded is ever changed.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text, tuple_

from adapters.postgres import allowances, audit, budgets, choices, contacts, follow_ups, message_types, profiles
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.mail_counts import ComplaintShares
from adapters.postgres.profiles import StoredProfile
from adapters.postgres.tables import decision as decisions
from domain import contact_budget
from domain.contact_budget import Contact, ContactBudget, Spent
from domain.gates import Allowances
from domain.handover import Follows, FollowUp
from domain.identity import subject_key
from domain.message_types import MessageType, PublishedType
from domain.preference_gate import LastSent, after_sending
from domain.tenants import Tenant


@dataclass(frozen=True)
class Known:
    """What PostgreSQL knows about the recipients and types of some requests, as one reading."""

    allowances: dict[str, Allowances]
    profiles: dict[str, StoredProfile]
    types: dict[str, PublishedType]
    complaint_share: float | None = None


@dataclass(frozen=True)
class Row:
    """A decision as it is stored; ``recipient_id`` only keys the lock and the audit row's pseudonym."""

    decision_id: str
    recipient_id: str
    subject_key: str
    fingerprint: bytes
    decided_at: datetime
    outcome: str
    message_type: str
    campaign_id: str | None
    reason: str
    action_probability: float
    consent_version: int
    category: str
    record: dict[str, Any]
    answer: dict[str, Any]
    sent: LastSent | None = None
    contact: Contact | None = None
    follow_up: FollowUp | None = None
    follows: Follows | None = None


@dataclass(frozen=True)
class Recorded:
    """What was answered under a decision's id, and to which request.

    ``answer`` has no content: that is never stored. ``locale`` is the language it was in, None when nothing was sent.
    """

    fingerprint: bytes
    answer: dict[str, Any]
    locale: str | None
    decided_at: datetime
    is_new: bool = False


Finish = Callable[[Allowances], Row]
"""Makes the row of one decision from the locked reading of what its recipient allows."""


class DecisionLog:
    """Keeps every decision, unsampled."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._complaints = ComplaintShares()

    def known(
        self,
        tenant: Tenant,
        recipient_ids: Sequence[str],
        types: Sequence[str],
        *,
        now: datetime,
        complaint_days: int,
        with_spending: bool = True,
        leaving_out: Sequence[str] = (),
    ) -> Known:
        """Return what is known, for all requests of a batch at once.

        Args:
            tenant: whose recipients.
            recipient_ids: whom the requests are about.
            types: the message types they name.
            now: the tenant's clock.
            complaint_days: days over which complaints count.
            with_spending: also read the contact budget and what is spent of it.
            leaving_out: decisions that are followed, whose own reservations do not count against that.

        Raises:
            Unavailable: PostgreSQL is away, and with it all knowledge of consent.
        """
        with self._database.tenant(tenant.tenant) as connection:
            allowed = choices.read(connection, tenant, recipient_ids, now=now)
            if headless := [recipient for recipient, each in allowed.items() if each.version == 0]:
                # Those that exist with version 0 are left as they are.
                allowances.make_heads(connection, tenant.tenant, headless)
            if with_spending:
                spending = _spending(connection, tenant, list(allowed), now=now, leaving_out=leaving_out)
                allowed = _standing(allowed, spending)
            return Known(
                allowances=allowed,
                profiles=profiles.read(connection, tenant, recipient_ids),
                types=message_types.read(connection, types),
                complaint_share=self._complaints.read(connection, tenant.tenant, now=now, days=complaint_days),
            )

    def recorded(self, tenant: Tenant, decision_ids: Sequence[str]) -> dict[str, Recorded]:
        """Return those of the decisions that were recorded before."""
        if not decision_ids:
            return {}
        with self._database.tenant(tenant.tenant) as connection:
            return _recorded(connection, decision_ids)

    def record(
        self,
        tenant: Tenant,
        pending: Sequence[tuple[str, str, Finish]],
        *,
        actor: str,
        now: datetime,
        leaving_out: Sequence[str] = (),
    ) -> dict[str, Recorded]:
        """Lock what the recipients allow, finish each decision on that reading, and commit all of them.

        Args:
            tenant: whose decisions these are.
            pending: decision id, recipient id and how the decision is finished.
            actor: who asked.
            now: the tenant's clock.
            leaving_out: decisions that are followed, whose own reservations do not count against that.

        Returns:
            By id, what counts: the new decision, or the one somebody else recorded first.

        Raises:
            Moved: a recipient was merged into another; nothing was decided.
            Settled: what is followed does not wait any more; nothing was decided.
            Unavailable: PostgreSQL could not commit; nothing was decided.
        """
        try:
            return self._recorded(tenant, pending, actor, now, leaving_out, hold=False)
        except contacts.Exhausted:
            # Somebody used up a window since we read it: now it is held while we decide what still fits.
            return self._recorded(tenant, pending, actor, now, leaving_out, hold=True)

    def _recorded(
        self,
        tenant: Tenant,
        pending: Sequence[tuple[str, str, Finish]],
        actor: str,
        now: datetime,
        leaving_out: Sequence[str],
        *,
        hold: bool,
    ) -> dict[str, Recorded]:
        who = [recipient for _, recipient, _ in pending]
        with self._database.tenant(tenant.tenant) as connection:
            # First, and in a fair queue: were the heads taken before it, a withdrawal would wait for everybody in it.
            contacts.one_after_the_other(connection, tenant, who)
            spending = _spending(connection, tenant, who, now=now, hold=hold, leaving_out=leaving_out)
            rows = list(_finished(pending, _standing(self._locked(connection, tenant, who, now=now), spending)))
            new = _insert(connection, tenant.tenant, actor, rows)
            fresh = [row for row in rows if row.decision_id in new]
            others = _recorded(connection, [row.decision_id for row in rows if row.decision_id not in new])
            follow_ups.keep(connection, tenant, fresh)
            made = [contacts.Made(row.decision_id, row.subject_key, row.contact) for row in fresh if row.contact]
            contacts.charge(connection, tenant, spending.budget, made)
        return others | {row.decision_id: _told(row) for row in fresh}

    def survivors(self, tenant: Tenant, recipient_ids: Sequence[str]) -> dict[str, str]:
        """Return who stands for each recipient: themselves, or whom they were merged into."""
        with self._database.tenant(tenant.tenant) as connection:
            return allowances.survivors(connection, recipient_ids)

    def definition(self, tenant: Tenant, message_type: str, version: int) -> MessageType:
        """Return a message type as it was published in a version that a decision names."""
        with self._database.tenant(tenant.tenant) as connection:
            return message_types.read_version(connection, message_type, version)

    def get(self, tenant: Tenant, decision_id: str, *, actor: str, subject: str | None = None) -> dict[str, Any] | None:
        """Return the record of a decision with the moment it was recorded, or None; reading one is audited.

        With a ``subject``, a decision that is not about that person does not exist.
        """
        wanted = select(decisions.c.record, decisions.c.recorded_at, decisions.c.subject_key)
        query = wanted.where(decisions.c.decision_id == decision_id)
        if subject is not None:
            query = query.where(decisions.c.subject_key == subject)
        with self._database.tenant(tenant.tenant) as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                return None
            read = AuditEntry(
                action="decision.read", actor=actor, object=f"decision:{decision_id}", subject_key=row.subject_key
            )
            audit.write(connection, tenant, [read])
        return {**row.record, "recorded_at": row.recorded_at.isoformat()}

    def of_recipient(
        self,
        tenant: Tenant,
        recipient_id: str,
        *,
        actor: str,
        before: datetime | None = None,
        after: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """Return the records of the newest decisions about a recipient, each with its id; reading them is audited.

        ``after`` is the moment and the id of the decision a page ended with.
        """
        key = subject_key(tenant.subject_secret, recipient_id)
        query = select(decisions.c.decision_id, decisions.c.decided_at, decisions.c.message_type, decisions.c.record)
        query = query.where(decisions.c.subject_key == key).order_by(
            decisions.c.decided_at.desc(), decisions.c.decision_id.desc()
        )
        if before is not None:
            query = query.where(decisions.c.decided_at < before)
        if after is not None:
            query = query.where(tuple_(decisions.c.decided_at, decisions.c.decision_id) < after)
        read = AuditEntry(action="decision.listed", actor=actor, object="decision", recipient_id=recipient_id)
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(query.limit(limit)).all()
            audit.write(connection, tenant, [read])
        return [
            {"decision_id": row.decision_id, "decided_at": row.decided_at, "message_type": row.message_type}
            | {"record": row.record}
            for row in rows
        ]

    def _locked(
        self, connection: Connection, tenant: Tenant, recipient_ids: Sequence[str], *, now: datetime
    ) -> dict[str, Allowances]:
        """Read under lock; a test replaces this to show what happens without."""
        allowances.lock(connection, recipient_ids)
        return choices.read(connection, tenant, recipient_ids, now=now)


@dataclass(frozen=True)
class _Spending:
    """The contact budget in force, and what each recipient's part of it is spent on."""

    budget: ContactBudget
    spent: Mapping[str, Spent]


def _spending(
    connection: Connection,
    tenant: Tenant,
    recipient_ids: Sequence[str],
    *,
    now: datetime,
    hold: bool = False,
    leaving_out: Sequence[str] = (),
) -> _Spending:
    budget = budgets.KIND.read(connection).document
    spent = contacts.spent(connection, tenant, recipient_ids, budget, now=now, lock=hold, leaving_out=leaving_out)
    return _Spending(budget, spent)


def _standing(allowed: Mapping[str, Allowances], spending: _Spending) -> dict[str, Allowances]:
    """Return what recipients allow together with what is spent on them."""
    return {who: replace(each, budget=spending.budget, spent=spending.spent[who]) for who, each in allowed.items()}


def _finished(pending: Sequence[tuple[str, str, Finish]], allowed: Mapping[str, Allowances]) -> Iterator[Row]:
    """Yield each decision's row; what one of a batch sends is known to the next ones."""
    standing = dict(allowed)
    used = dict(next(iter(standing.values())).spent.used) if standing else {}
    for _, recipient, finish in pending:
        before = standing[recipient]
        row = finish(replace(before, spent=replace(before.spent, used=dict(used))))
        if row.sent is not None:
            before = replace(before, choices=after_sending(before.choices, row.sent))
        reserved = row.follow_up.reserved if row.follow_up is not None else None
        for contact in filter(None, (row.contact, reserved)):
            spent = replace(before.spent, contacts=(*before.spent.contacts, contact))
            before = replace(before, spent=spent)
        if row.contact is not None:
            for rule in contact_budget.charged(before.budget, row.contact):
                used[rule.id] = used.get(rule.id, 0) + 1
        standing[recipient] = before
        yield row


def _insert(connection: Connection, tenant: str, actor: str, rows: Sequence[Row]) -> set[str]:
    """Store decisions with their audit rows; return the ids nobody had recorded before."""
    given = [
        {
            "decision_id": row.decision_id,
            "subject_key": row.subject_key,
            "fingerprint": row.fingerprint.hex(),
            "decided_at": row.decided_at.isoformat(),
            "outcome": row.outcome,
            "message_type": row.message_type,
            "campaign_id": row.campaign_id,
            "reason": row.reason,
            "action_probability": row.action_probability,
            "consent_version": row.consent_version,
            "category": row.category,
            "record": row.record,
            "answer": row.answer,
        }
        for row in rows
    ]
    named = {"tenant": tenant, "actor": actor, "context": json.dumps(audit.context())}
    named["rows"] = json.dumps(given, allow_nan=False)
    return set(connection.execute(_INSERT, named).scalars())


_INSERT = text("""
WITH given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(:rows) AS given (
        decision_id text, subject_key text, fingerprint text, decided_at timestamptz, outcome text, message_type text,
        campaign_id text, reason text, action_probability double precision, consent_version bigint,
        category text, record jsonb, answer jsonb)
), made AS (
    INSERT INTO decision (
        tenant, decision_id, subject_key, request_fingerprint, decided_at, outcome, channel, variant_id, message_type,
        campaign_id, reason, action_probability, is_holdout, degraded, consent_version, category, record, answer)
    SELECT
        :tenant, decision_id, subject_key, decode(fingerprint, 'hex'), decided_at, outcome, record->>'channel',
        record->>'variant_id', message_type, campaign_id, reason, action_probability,
        CAST(record->>'is_holdout' AS boolean), record->>'degraded', consent_version, category, record, answer
    FROM given ORDER BY decision_id COLLATE "C"
    ON CONFLICT DO NOTHING
    RETURNING decision_id, subject_key, outcome, reason, channel, variant_id, message_type, campaign_id, decided_at
), audited AS (
    INSERT INTO audit (tenant, action, actor, subject_key, object, detail, context)
    SELECT :tenant, 'decision.recorded', :actor, subject_key, 'decision:' || decision_id,
        jsonb_build_object('outcome', outcome, 'reason', reason), CAST(:context AS jsonb)
    FROM made
), hooked AS (
    INSERT INTO hook_delivery (tenant, delivery_id, hook_id, event, data)
    SELECT :tenant, 'msg_' || replace(CAST(gen_random_uuid() AS text), '-', ''), h.hook_id, 'post_decision',
        jsonb_build_object('decision_id', decision_id, 'outcome', outcome, 'reason', reason, 'channel', channel,
            'variant_id', variant_id, 'message_type', message_type, 'campaign_id', campaign_id,
            'decided_at', decided_at)
    FROM made JOIN hook h ON h.is_enabled AND jsonb_exists(h.events, 'post_decision')
)
SELECT decision_id FROM made
""")
"""Ids are claimed in order: two batches that hold the same ones then wait for each other, never in a circle."""


def _recorded(connection: Connection, decision_ids: Sequence[str]) -> dict[str, Recorded]:
    if not decision_ids:
        return {}
    locale = decisions.c.record["content"]["locale"].astext
    query = select(
        decisions.c.decision_id,
        decisions.c.request_fingerprint,
        decisions.c.answer,
        decisions.c.decided_at,
        locale.label("locale"),
    )
    rows = connection.execute(query.where(decisions.c.decision_id.in_(list(decision_ids))))
    return {
        row.decision_id: Recorded(bytes(row.request_fingerprint), row.answer, row.locale, row.decided_at)
        for row in rows
    }


def _told(row: Row) -> Recorded:
    content = row.record["content"]
    return Recorded(row.fingerprint, row.answer, content["locale"] if content else None, row.decided_at, is_new=True)
