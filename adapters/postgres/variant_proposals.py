"""Proposed variants in PostgreSQL: they wait beside their type, and enter it in the transaction that approves them."""

import json
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, Row, Select, Text, cast, column, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres import audit, brand_rules, message_types
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.variant_proposal_tables import variant_proposal
from adapters.text_reader import TextReader
from domain import generation, proposals
from domain.content_lint import BrandRules
from domain.generation import Candidate, NotApprovable, State
from domain.message_types import MessageType, Variant
from domain.tenants import Tenant
from domain.values import Frozen, Moment

MOST_WAITING = 200
"""Proposals of one type that may wait for a decision at a time."""
MOST_REJECTED = 500
"""Proposals of one type, the newest, that are not proposed again once they were rejected."""
_ID_BYTES = 10


class UnknownProposal(LookupError):
    """The type has no such proposal."""


class AlreadyDecided(RuntimeError):
    """The proposal was approved or rejected before."""


class TooManyWaiting(RuntimeError):
    """The type has as many proposals waiting as it may."""


class Proposal(Frozen):
    """A variant that a generator proposed, and what became of it."""

    proposal_id: str
    type: str
    state: State
    variant: Variant
    errors: tuple[str, ...] = Field(description="What lint found; a proposal that has any cannot be approved.")
    proposed_by: str
    proposed_at: Moment
    decided_by: str | None
    decided_at: Moment | None
    published_version: int | None = Field(description="The version of the type that it entered.")


class VariantProposals:
    """Keeps proposals."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standing(self, tenant: Tenant, name: str) -> tuple[MessageType, BrandRules] | None:
        """Return a type in force and the tenant's brand rules; None where no such type is published."""
        with self._database.tenant(tenant.tenant) as connection:
            found = message_types.read(connection, [name]).get(name)
            return (found.definition, _brand(connection)) if found is not None else None

    def add(self, tenant: Tenant, name: str, candidates: Iterable[Candidate], *, actor: str) -> list[Proposal]:
        """Keep candidates of a type, none of them in traffic; what waits already or was rejected is left out.

        Args:
            tenant: whose type.
            name: of the type.
            candidates: those that lint lets pass; nobody could decide about another, so none would ever go.
            actor: who has them proposed.

        Raises:
            TooManyWaiting: so many more may not wait.
        """
        with self._database.tenant(tenant.tenant) as connection:
            message_types.alone(connection, tenant)
            waiting, rejected = _said_by(connection, name)
            rows = [_row(tenant, name, each, actor) for each in candidates]
            said = _said_in(connection, [row["variant"] for row in rows])
            rows = [row for row, each in zip(rows, said, strict=True) if each not in {*waiting, *rejected}]
            if len(waiting) + len(rows) > MOST_WAITING:
                raise TooManyWaiting(f"at most {MOST_WAITING} proposals of a type wait")
            if not rows:
                return []
            made = connection.execute(insert(variant_proposal).returning(variant_proposal), rows).all()
            entries = [_entry("variant.proposed", row, actor, {"state": row.state}) for row in made]
            audit.write(connection, tenant, entries)
        return [_proposal(row) for row in made]

    def listed(
        self, tenant: Tenant, name: str, *, state: State | None, before: tuple[datetime, str] | None, limit: int
    ) -> list[Proposal]:
        """Return proposals of a type, newest first, from the one behind ``before``."""
        query = _of(name, *(() if state is None else (state,)))
        order = (variant_proposal.c.proposed_at, variant_proposal.c.proposal_id)
        if before is not None:
            query = query.where(tuple_(*order) < tuple_(*before))
        with self._database.tenant(tenant.tenant) as connection:
            rows = connection.execute(query.order_by(*(each.desc() for each in order)).limit(limit)).all()
        return [_proposal(row) for row in rows]

    def approve(self, tenant: Tenant, name: str, proposal_id: str, *, actor: str, now: datetime) -> Proposal:
        """Put a proposal into its type, as a new version of what is in force now, linted by the rules of now.

        Raises:
            UnknownProposal: the type has no such proposal.
            AlreadyDecided: it was approved or rejected before.
            NotApprovable: lint finds an error in it, or it does not fit the type any more.
        """
        with self._database.tenant(tenant.tenant) as connection:
            message_types.alone(connection, tenant)
            found = _waiting(connection, name, proposal_id)
            candidate = Candidate(variant=found.variant, state=found.state, errors=found.errors)
            present, brand = message_types.read(connection, [name])[name].definition, _brand(connection)
            passed = generation.approve(
                candidate,
                errors_of=lambda variant: proposals.errors_of(present, variant, brand, TextReader()),
                by=actor,
                at=now,
            )
            made = proposals.joined(present, passed.variant)
            published = message_types.publish(connection, tenant, made, actor=actor)
            if published is None:
                raise NotApprovable(f"{found.variant.id} cannot be approved: the type holds it already")
            values = {"variant": _document(passed.variant), "published_version": published.version}
            row = _decided(connection, proposal_id, State.APPROVED, actor, now, values)
            entry = _entry("variant.approved", row, actor, {"version": published.version})
            audit.write(connection, tenant, [entry])
        return _proposal(row)

    def reject(self, tenant: Tenant, name: str, proposal_id: str, *, actor: str, now: datetime) -> Proposal:
        """Let a proposal never enter its type.

        Raises:
            UnknownProposal: the type has no such proposal.
            AlreadyDecided: it was approved or rejected before.
        """
        with self._database.tenant(tenant.tenant) as connection:
            _waiting(connection, name, proposal_id)
            row = _decided(connection, proposal_id, State.REJECTED, actor, now, {})
            audit.write(connection, tenant, [_entry("variant.rejected", row, actor, {})])
        return _proposal(row)


def _brand(connection: Connection) -> BrandRules:
    return brand_rules.KIND.read(connection).document


def _of(name: str, *states: State) -> Select[Any]:
    query = select(variant_proposal).where(variant_proposal.c.type == name)
    return query.where(variant_proposal.c.state.in_([each.value for each in states])) if states else query


def _said(document: ColumnElement[Any]) -> ColumnElement[str]:
    """Return a digest of what a variant says; PostgreSQL makes it, so that no document is read to compare it."""
    parts = func.jsonb_build_array(*(document[part] for part in ("content", "translations", "sources")))
    return func.md5(cast(func.jsonb_strip_nulls(parts), Text))


def _said_by(connection: Connection, name: str) -> tuple[list[str], list[str]]:
    """Return the digests of what waits, and of the newest of what was rejected."""
    waiting, rejected = (
        select(_said(variant_proposal.c.variant))
        .where(variant_proposal.c.type == name, variant_proposal.c.state == state.value)
        .order_by(variant_proposal.c.proposed_at.desc())
        for state in (State.PROPOSED, State.REJECTED)
    )
    return (
        list(connection.execute(waiting).scalars()),
        list(connection.execute(rejected.limit(MOST_REJECTED)).scalars()),
    )


def _said_in(connection: Connection, documents: Sequence[dict[str, Any]]) -> list[str]:
    """Return the digests of documents, in their order."""
    given = func.jsonb_array_elements(cast(list(documents), JSONB))
    made = given.table_valued(column("variant", JSONB), with_ordinality="place", name="made").render_derived()
    return list(connection.execute(select(_said(made.c.variant)).order_by(made.c.place)).scalars())


def _waiting(connection: Connection, name: str, proposal_id: str) -> Proposal:
    query = _of(name).where(variant_proposal.c.proposal_id == proposal_id).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UnknownProposal("there is no such proposal")
    if row.state in (State.APPROVED, State.REJECTED):
        raise AlreadyDecided(f"the proposal was {row.state} before")
    return _proposal(row)


def _decided(
    connection: Connection, proposal_id: str, state: State, actor: str, now: datetime, values: dict[str, Any]
) -> Row[Any]:
    decided = {"state": state.value, "decided_by": actor, "decided_at": now} | values
    statement = update(variant_proposal).where(variant_proposal.c.proposal_id == proposal_id).values(decided)
    return connection.execute(statement.returning(variant_proposal)).one()


def _row(tenant: Tenant, name: str, candidate: Candidate, actor: str) -> dict[str, Any]:
    return {
        "tenant": tenant.tenant,
        "proposal_id": f"vprop_{secrets.token_hex(_ID_BYTES)}",
        "type": name,
        "state": candidate.state.value,
        "variant": _document(candidate.variant),
        "errors": list(candidate.errors),
        "proposed_by": actor,
    }


def _document(variant: Variant) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(variant.model_dump_json(by_alias=True))
    return told


def _proposal(row: Row[Any]) -> Proposal:
    return Proposal.model_validate({name: row._mapping[name] for name in Proposal.model_fields})  # noqa: SLF001


def _entry(action: str, row: Row[Any], actor: str, detail: dict[str, Any]) -> AuditEntry:
    told = {"type": row.type, "variant": row.variant["id"], "by": row.variant["generated"]["by"]} | detail
    return AuditEntry(action=action, actor=actor, object=f"proposal:{row.proposal_id}", detail=told)
