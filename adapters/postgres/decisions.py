"""Decisions in PostgreSQL: gathered in one reading, recorded in the transaction that locks what is allowed.

One id is one decision, whoever asks again and however many ask at once; nothing recorded is ever changed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, tuple_

from adapters.postgres import (
    allowances,
    audit,
    budgets,
    business_rules,
    choices,
    contacts,
    decision_rows,
    follow_ups,
    message_types,
    profiles,
    service_levels,
)
from adapters.postgres.audit import AuditEntry
from adapters.postgres.decision_rows import Recorded, Row
from adapters.postgres.engine import Database
from adapters.postgres.mail_counts import ComplaintShares
from adapters.postgres.profiles import StoredProfile
from adapters.postgres.recipient_facts import RecipientFacts
from adapters.postgres.tables import decision as decisions
from adapters.postgres.versioned_documents import Published
from domain import contact_budget
from domain.business_rules import NO_RULES, BusinessRules
from domain.contact_budget import ContactBudget, Spent
from domain.gates import Allowances
from domain.identity import subject_key
from domain.message_types import MessageType, PublishedType
from domain.preference_gate import after_sending
from domain.segments import EventCount, Fact
from domain.service_levels import LevelName, ServiceLevel
from domain.tenants import Tenant

_NONE = Published(0, NO_RULES)


@dataclass(frozen=True)
class Known:
    """What PostgreSQL knows about the recipients and types of some requests, as one reading."""

    allowances: dict[str, Allowances]
    profiles: dict[str, StoredProfile]
    types: dict[str, PublishedType]
    levels: dict[LevelName, ServiceLevel]
    complaint_share: float | None = None
    rules: Published[BusinessRules] = _NONE
    asked_of: Mapping[str, Mapping[str, Fact]] = field(default_factory=dict)
    """What the rules ask about each recipient besides their profile."""


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
        with_heads: bool = True,
        levels: Collection[LevelName] = (),
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
            with_heads: give recipients who are new the row that decisions lock; without, nothing is written.
            levels: the service levels they name.
            leaving_out: decisions that are followed, whose own reservations do not count against that.

        Raises:
            Unavailable: PostgreSQL is away, and with it all knowledge of consent.
        """
        with self._database.tenant(tenant.tenant) as connection:
            allowed = choices.read(connection, tenant, recipient_ids, now=now)
            headless = [recipient for recipient, each in allowed.items() if each.version == 0]
            if headless and with_heads:
                # Those that exist with version 0 are left as they are.
                allowances.make_heads(connection, tenant.tenant, headless)
            if with_spending:
                spending = _spending(
                    connection, tenant, list(allowed), now=now, leaving_out=leaving_out, with_seen=True
                )
                allowed = _standing(allowed, spending)
            rules = business_rules.KIND.read(connection)
            return Known(
                rules=rules,
                asked_of=_asked_of(connection, tenant, allowed, rules.document, now=now),
                allowances=allowed,
                profiles=profiles.read(connection, tenant, recipient_ids),
                types=message_types.read(connection, types),
                levels={level: service_levels.KINDS[level].read(connection).document for level in levels},
                complaint_share=self._complaints.read(connection, tenant.tenant, now=now, days=complaint_days),
            )

    def recorded(self, tenant: Tenant, decision_ids: Sequence[str]) -> dict[str, Recorded]:
        """Return those of the decisions that were recorded before."""
        if not decision_ids:
            return {}
        with self._database.tenant(tenant.tenant) as connection:
            return decision_rows.recorded(connection, decision_ids)

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
            new = decision_rows.insert(connection, tenant.tenant, actor, rows)
            fresh = [row for row in rows if row.decision_id in new]
            others = decision_rows.recorded(connection, [row.decision_id for row in rows if row.decision_id not in new])
            follow_ups.keep(connection, tenant, fresh)
            made = [_made(row) for row in fresh if row.contact is not None]
            contacts.charge(connection, tenant, spending.budget, made)
        return others | {row.decision_id: decision_rows.told(row) for row in fresh}

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

    def previewed(self, tenant: Tenant, recipient_id: str, question: str, *, actor: str) -> None:
        """Tell the audit trail that what is known of a recipient was read for a question about a decision."""
        entry = AuditEntry(action="decision.previewed", actor=actor, object="recipient", recipient_id=recipient_id)
        with self._database.tenant(tenant.tenant) as connection:
            audit.write(connection, tenant, [entry.model_copy(update={"detail": {"question": question}})])

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


def _asked_of(
    connection: Connection, tenant: Tenant, allowed: Mapping[str, Allowances], rules: BusinessRules, *, now: datetime
) -> dict[str, dict[str, Fact]]:
    """Return what rules ask about recipients besides their profiles: counts of events, missing where not allowed."""
    counts = [each for each in rules.subjects if isinstance(each, EventCount)]
    return RecipientFacts().read(connection, tenant, allowed, counts, now) if counts else {}


def _made(row: Row) -> contacts.Made:
    """Return the contact that a decision makes, with what is seen."""
    assert row.contact is not None  # noqa: S101 - the caller asked
    return contacts.Made(row.decision_id, row.subject_key, row.contact, row.message_type, row.record["variant_id"])


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
    with_seen: bool = False,
) -> _Spending:
    budget = budgets.KIND.read(connection).document
    spent = contacts.spent(
        connection,
        tenant,
        recipient_ids,
        budget,
        now=now,
        lock=hold,
        leaving_out=leaving_out,
        with_seen=with_seen,
    )
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
