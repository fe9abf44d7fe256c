"""Contested decisions in PostgreSQL: what the person says, and what a human answered; both sealed under their key."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, tuple_, update

from adapters.postgres import audit, subject_keys
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.rights_tables import decision_contest as contests
from adapters.postgres.subject_keys import KeyDestroyed, Place
from adapters.postgres.tables import decision as decisions
from domain.tenants import Tenant
from domain.values import Frozen, Moment


class Verdict(StrEnum):
    """What a human found."""

    UPHELD = "upheld"
    OVERTURNED = "overturned"


class UnknownDecision(LookupError):
    """There is no such decision, or its person was erased."""


class UnknownContest(LookupError):
    """There is no such contest."""


class AlreadyReviewed(RuntimeError):
    """Somebody has answered; an answer is not changed."""


class Contest(Frozen):
    """A contested decision; without a verdict a human still has to look at it."""

    contest_id: str
    decision_id: str
    statement: str | None
    source: str
    recorded_at: Moment
    reviewed_at: Moment | None
    reviewer: str | None
    verdict: Verdict | None
    answer: str | None


class Contests:
    """Keeps who contests which decision."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, tenant: Tenant, decision_id: str, *, statement: str, source: str, actor: str) -> Contest:
        """Ask for a human to review a decision.

        Raises:
            UnknownDecision: there is none of that id, or its person was erased.
        """
        contest_id = str(uuid.uuid4())
        with self._database.tenant(tenant.tenant) as connection:
            whose = select(decisions.c.subject_key).where(decisions.c.decision_id == decision_id)
            subject = connection.execute(whose).scalar_one_or_none()
            if subject is None:
                raise UnknownDecision("there is no such decision")
            row = {"tenant": tenant.tenant, "contest_id": contest_id, "decision_id": decision_id, "source": source}
            sealed = _sealed(connection, tenant, subject, contest_id, "statement", statement)
            values = row | {"subject_key": subject, "statement": sealed, "actor": actor}
            connection.execute(insert(contests).values(values))
            audit.write(connection, tenant, [_entry("decision.contested", actor, subject, decision_id, contest_id)])
            return _one(connection, tenant, contest_id)

    def review(self, tenant: Tenant, contest_id: str, *, verdict: Verdict, answer: str, actor: str) -> Contest:
        """Note what a human found, once.

        Raises:
            UnknownContest: there is none of that id.
            AlreadyReviewed: it has an answer.
        """
        with self._database.tenant(tenant.tenant) as connection:
            here = contests.c.contest_id == contest_id
            row = connection.execute(select(contests).where(here).with_for_update()).one_or_none()
            if row is None:
                raise UnknownContest("there is no such contest")
            if row.reviewed_at is not None:
                raise AlreadyReviewed("this contest was answered")
            sealed = _sealed(connection, tenant, row.subject_key, contest_id, "answer", answer)
            values = {"verdict": verdict.value, "answer": sealed, "reviewer": actor}
            connection.execute(update(contests).where(here).values(values | {"reviewed_at": func.clock_timestamp()}))
            entry = _entry("decision.reviewed", actor, row.subject_key, row.decision_id, contest_id)
            audit.write(connection, tenant, [entry.model_copy(update={"detail": {"verdict": verdict.value}})])
            return _one(connection, tenant, contest_id)

    def waiting(
        self, tenant: Tenant, *, actor: str, limit: int, after: tuple[datetime, str] | None = None
    ) -> list[Contest]:
        """Return the contests nobody has answered, oldest first, from the one after ``after``; that is audited."""
        place = tuple_(contests.c.recorded_at, contests.c.contest_id)
        query = select(contests).where(contests.c.reviewed_at.is_(None)).order_by(place).limit(limit)
        if after is not None:
            query = query.where(place > after)
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(query).all()
            found = [_contest(row, plain) for row, plain in zip(rows, opened(connection, tenant, rows), strict=True)]
            entries = [_entry("contest.read", actor, row.subject_key, row.decision_id, row.contest_id) for row in rows]
            audit.write(connection, tenant, entries)
        return found

    def get(self, tenant: Tenant, contest_id: str, *, actor: str) -> Contest:
        """Return one contest; reading it is audited.

        Raises:
            UnknownContest: there is none of that id.
        """
        with self._database.tenant(tenant.tenant) as connection:
            row = connection.execute(select(contests).where(contests.c.contest_id == contest_id)).one_or_none()
            if row is None:
                raise UnknownContest("there is no such contest")
            audit.write(
                connection, tenant, [_entry("contest.read", actor, row.subject_key, row.decision_id, contest_id)]
            )
            return _one(connection, tenant, contest_id)


def opened(connection: Connection, tenant: Tenant, rows: Sequence[Row[Any]]) -> list[Mapping[str, str]]:
    """Return statement and answer of each row, as far as there are some."""
    given = [
        (row.contest_id, name, Place(None, contests.name, name, row.contest_id, row.subject_key), getattr(row, name))
        for row in rows
        for name in ("statement", "answer")
        if getattr(row, name) is not None
    ]
    plain = subject_keys.of(connection).open_many(connection, tenant, [each[2:] for each in given]) if given else []
    found: dict[str, dict[str, str]] = {row.contest_id: {} for row in rows}
    for (contest_id, name, *_), text in zip(given, plain, strict=True):
        if text is not None:
            found[contest_id][name] = text.decode()
    return [found[row.contest_id] for row in rows]


def _one(connection: Connection, tenant: Tenant, contest_id: str) -> Contest:
    row = connection.execute(select(contests).where(contests.c.contest_id == contest_id)).one()
    return _contest(row, opened(connection, tenant, [row])[0])


def _contest(row: Row[Any], plain: Mapping[str, str]) -> Contest:
    known = {name: value for name, value in row._mapping.items() if name in Contest.model_fields}  # noqa: SLF001
    return Contest.model_validate(known | {"statement": plain.get("statement"), "answer": plain.get("answer")})


def _sealed(connection: Connection, tenant: Tenant, subject: str, contest_id: str, column: str, plain: str) -> bytes:
    place = Place(None, contests.name, column, contest_id, subject)
    sealed = subject_keys.of(connection).seal_many(connection, tenant, [(place, plain.encode())])[0]
    if sealed is None:
        raise KeyDestroyed("this subject was erased")
    return sealed


def _entry(action: str, actor: str, subject: str, decision_id: str, contest_id: str) -> AuditEntry:
    context = {"law": "GDPR Art. 22(3)", "contest_id": contest_id}
    return AuditEntry(
        action=action, actor=actor, object=f"decision:{decision_id}", subject_key=subject, context=context
    )
