"""Jobs in PostgreSQL: a chunk of items, its verdicts and the progress are one commit, so a kill loses and repeats none.

Who works on a job holds a lease; when its holder dies the lease runs out and somebody else goes on from there.
"""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, text, update

from adapters.postgres import audit, subject_keys
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.job_tables import job as jobs
from adapters.postgres.job_tables import job_result
from adapters.postgres.subject_keys import Place
from adapters.secrets import CannotOpen
from domain.jobs import ItemResult, ItemVerdict, Job, JobState
from domain.tenants import Tenant

LEASE = timedelta(seconds=30)
"""Longest a job waits for a holder that died."""


class UnknownJob(LookupError):
    """The tenant has no such job."""


class LeaseLost(RuntimeError):
    """Somebody else works on the job by now."""


@dataclass(frozen=True)
class Claimed:
    """A job to work on, from a position."""

    job_id: str
    kind: str
    actor: str
    position: int
    total: int
    payload: Any
    lease: datetime


Handler = Callable[[Connection, Tenant, Any, range, str], Sequence[ItemResult]]
"""Does the items of a payload at these positions, for an actor, in the transaction it is given: a verdict on each."""


Cleaner = Callable[[Connection, Any], None]
"""Removes what only a job that goes on needs, given its payload."""


class Jobs:
    """Keeps jobs, and hands them out one at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(self, tenant: Tenant, kind: str, *, total: int, payload: Any, actor: str) -> Job:
        """Queue a job.

        Args:
            tenant: whose.
            kind: which handler does it.
            total: how many items it has.
            payload: what the handler needs, as JSON; kept sealed and only until the job has ended.
            actor: who asked for it, and in whose name it is done.
        """
        job_id = str(uuid.uuid4())
        with self._database.tenant(tenant.tenant) as connection:
            plain = json.dumps(payload, allow_nan=False).encode()
            sealed = subject_keys.of(connection).seal_many(connection, tenant, [(_place(job_id), plain)])[0]
            row = {"tenant": tenant.tenant, "job_id": job_id, "kind": kind, "state": JobState.QUEUED.value}
            connection.execute(insert(jobs).values(row | {"total": total, "payload": sealed, "actor": actor}))
            entry = AuditEntry(action="job.submitted", actor=actor, object=f"job:{job_id}")
            audit.write(connection, tenant, [entry.model_copy(update={"detail": {"kind": kind, "total": total}})])
            return _job(connection, job_id)

    def get(self, tenant: Tenant, job_id: str) -> Job:
        """Return a job as it stands.

        Raises:
            UnknownJob: there is none.
        """
        with self._database.tenant(tenant.tenant) as connection:
            return _job(connection, job_id)

    def results(self, tenant: Tenant, job_id: str, *, after: int, limit: int) -> list[ItemResult]:
        """Return verdicts in order of position, from the one behind ``after``.

        Raises:
            UnknownJob: there is no such job.
        """
        query = select(job_result).where(job_result.c.job_id == job_id, job_result.c.position > after)
        with self._database.tenant(tenant.tenant) as connection:
            _job(connection, job_id)
            rows = connection.execute(query.order_by(job_result.c.position).limit(limit)).all()
        return [ItemResult(position=row.position, verdict=row.verdict, detail=row.detail) for row in rows]

    def tenants_with_some(self, kinds: Sequence[str], *, now: datetime) -> list[str]:
        """Return the names of the tenants with a job of these kinds that nobody works on; ``now`` is real time."""
        named = {"kinds": list(kinds), "now": now}
        with self._database.begin() as connection:
            return list(connection.execute(_TENANTS_WITH_SOME, named).scalars())

    def claim(
        self, tenant: Tenant, kinds: Sequence[str], *, now: datetime, first: Sequence[str] = ()
    ) -> Claimed | None:
        """Take the oldest job that nobody works on, one of the kinds that go ``first`` before others, or None.

        The lease is in real time.
        """
        with self._database.tenant(tenant.tenant) as connection:
            named = {"kinds": list(kinds), "first": list(first), "now": now, "lease": now + LEASE}
            row = connection.execute(_CLAIM, named).one_or_none()
            if row is None:
                return None
            try:
                sealed = [(_place(row.job_id), row.payload)]
                opened = subject_keys.of(connection).open_many(connection, tenant, sealed)[0]
            except CannotOpen:
                # Kept, it would be the oldest for ever, and nothing behind it would be done.
                problem = "what was asked for cannot be opened any more"
                connection.execute(update(jobs).where(jobs.c.job_id == row.job_id).values(**_ended(problem)))
                return None
        return Claimed(
            job_id=row.job_id,
            kind=row.kind,
            actor=row.actor,
            position=row.position,
            total=row.total,
            payload=json.loads(opened) if opened is not None else None,
            lease=row.leased_until,
        )

    def advance(self, tenant: Tenant, claimed: Claimed, handler: Handler, *, chunk: int, now: datetime) -> Claimed:
        """Do one chunk, keep its verdicts and the progress, all in one commit; returns the job with a new lease.

        Raises:
            LeaseLost: the lease ran out and somebody else took the job; nothing was done.
        """
        lease = now + LEASE
        with self._database.tenant(tenant.tenant) as connection:
            held = (jobs.c.job_id == claimed.job_id) & (jobs.c.leased_until == claimed.lease)
            if connection.execute(select(jobs.c.job_id).where(held).with_for_update()).one_or_none() is None:
                raise LeaseLost("somebody else works on this job by now")
            places = range(claimed.position, min(claimed.position + chunk, claimed.total))
            results = handler(connection, tenant, claimed.payload, places, claimed.actor)
            key = {"tenant": tenant.tenant, "job_id": claimed.job_id}
            rows = [key | each.model_dump(mode="json") for each in results]
            if rows:
                connection.execute(insert(job_result), rows)
            position = claimed.position + len(rows)
            is_done = position >= claimed.total
            values: dict[str, Any] = {"position": position, "leased_until": lease}
            if is_done:
                values |= {"state": JobState.DONE.value, "payload": None, "leased_until": None}
            connection.execute(update(jobs).where(held).values(**values, updated_at=func.clock_timestamp()))
        return replace(claimed, position=position, lease=lease)

    def release(self, tenant: Tenant, claimed: Claimed) -> None:
        """Give a job back with what is done of it: whoever looks next may go on."""
        with self._database.tenant(tenant.tenant) as connection:
            held = (jobs.c.job_id == claimed.job_id) & (jobs.c.leased_until == claimed.lease)
            values = {"leased_until": None, "updated_at": func.clock_timestamp()}
            connection.execute(update(jobs).where(held).values(**values))

    def fail(self, tenant: Tenant, claimed: Claimed, problem: str, *, clean: Cleaner | None = None) -> None:
        """End a job that cannot go on; what was done stays done, but for what ``clean`` removes with it."""
        with self._database.tenant(tenant.tenant) as connection:
            held = (jobs.c.job_id == claimed.job_id) & (jobs.c.leased_until == claimed.lease)
            is_ours = connection.execute(update(jobs).where(held).values(**_ended(problem))).rowcount
            if is_ours and clean is not None:
                clean(connection, claimed.payload)


def _ended(problem: str) -> dict[str, Any]:
    ended = {"state": JobState.FAILED.value, "payload": None, "leased_until": None, "problem": problem}
    return {**ended, "updated_at": func.clock_timestamp()}


def opened(connection: Connection, tenant: Tenant, payloads: Mapping[str, bytes]) -> list[Any]:
    """Return what jobs were asked for, given the sealed payloads by job."""
    sealed = [(_place(job_id), bytes(payload)) for job_id, payload in payloads.items()]
    plain = subject_keys.of(connection).open_many(connection, tenant, sealed) if sealed else []
    return [json.loads(each) for each in plain if each is not None]


def _job(connection: Connection, job_id: str) -> Job:
    row = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).one_or_none()
    if row is None:
        raise UnknownJob("there is no such job")
    refused = (job_result.c.job_id == job_id) & (job_result.c.verdict == ItemVerdict.REFUSED.value)
    return Job(
        job_id=row.job_id,
        kind=row.kind,
        state=row.state,
        total=row.total,
        done=row.position,
        refused=connection.execute(select(func.count()).select_from(job_result).where(refused)).scalar_one(),
        problem=row.problem,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _place(job_id: str) -> Place:
    return Place(None, "job", "payload", job_id)


_TENANTS_WITH_SOME = text("SELECT kairos_tenants_with_jobs(CAST(:kinds AS text[]), CAST(:now AS timestamptz))")
_CLAIM = text("""
UPDATE job SET state = 'running', leased_until = :lease, updated_at = clock_timestamp()
WHERE (tenant, job_id) = (
    SELECT tenant, job_id FROM job
    WHERE state IN ('queued', 'running') AND kind = ANY(CAST(:kinds AS text[]))
        AND (leased_until IS NULL OR leased_until <= :now)
    ORDER BY kind = ANY(CAST(:first AS text[])) DESC, created_at, job_id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING job_id, kind, actor, position, total, payload, leased_until
""")
