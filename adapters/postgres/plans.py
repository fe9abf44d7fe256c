"""Plans in PostgreSQL: each step of one commits with the job's progress, so a kill loses and repeats none.

Who is in a plan is kept sealed, page by page, while the plan is made, and goes when it ends; items name nobody.
"""

import itertools
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from adapters.postgres import subject_keys
from adapters.postgres.engine import Database
from adapters.postgres.job_tables import job
from adapters.postgres.jobs import Jobs
from adapters.postgres.plan_tables import plan, plan_item, plan_page
from adapters.postgres.subject_keys import Place
from adapters.postgres.tables import profile
from domain.jobs import JobState
from domain.plans import PlanItem, PlanStatus, PlanSummary, check_cells
from domain.tenants import Tenant
from domain.values import Channel

KIND = "plan"
PAGE = 1_000
"""Recipients of one step."""


class UnknownPlan(LookupError):
    """The tenant has no such plan."""


@dataclass(frozen=True)
class People:
    """Recipients of one page, what each option is worth to them (None: not permitted), and how far the page reached."""

    who: list[str]
    worth: list[list[float | None]]
    last: str | None


class Plans:
    """Keeps plans."""

    def __init__(self, database: Database, jobs: Jobs) -> None:
        self._database = database
        self._jobs = jobs

    def submit(self, tenant: Tenant, request: dict[str, Any], *, asked_at: str, actor: str) -> PlanStatus:
        """Queue a plan; its steps are one for each page of the audience, one to optimise, one for each page to decide.

        Args:
            tenant: whose.
            request: the plan as JSON; kept sealed, until the plan has ended.
            asked_at: the tenant's clock.
            actor: in whose name it is made.

        Raises:
            TooLarge: everybody is asked for, and they are too many for so many options.
        """
        plan_id = str(uuid.uuid4())
        with self._database.joined(tenant.tenant) as connection:
            count, known_at = connection.execute(_PEOPLE).one()
            count = 1 if request.get("recipient_id") else count
            if request.get("audience") is None:
                check_cells(count, len(request.get("channels") or Channel) * request.get("slots", 1))
            pages = max(1, -(-count // PAGE))
            payload = {"plan_id": plan_id, "request": request, "pages": pages, "asked_at": asked_at}
            payload |= {"known_at": known_at.isoformat()}
            queued = self._jobs.submit(tenant, KIND, total=2 * pages + 1, payload=payload, actor=actor)
            row = {"tenant": tenant.tenant, "plan_id": plan_id, "job_id": queued.job_id, "actor": actor}
            connection.execute(insert(plan).values(row))
        return self.get(tenant, plan_id)

    def get(self, tenant: Tenant, plan_id: str) -> PlanStatus:
        """Return a plan as it stands.

        Raises:
            UnknownPlan: there is none.
        """
        with self._database.tenant(tenant.tenant) as connection:
            found = connection.execute(select(plan).where(plan.c.plan_id == plan_id)).one_or_none()
        if found is None:
            raise UnknownPlan("there is no such plan")
        queued = self._jobs.get(tenant, found.job_id)
        return PlanStatus(
            plan_id=plan_id,
            job_id=found.job_id,
            state=queued.state,
            total=queued.total,
            done=queued.done,
            problem=queued.problem,
            created_at=queued.created_at,
            updated_at=queued.updated_at,
            summary=PlanSummary.model_validate(found.summary) if found.summary is not None else None,
        )

    def items(self, tenant: Tenant, plan_id: str, *, after: int, limit: int) -> list[PlanItem]:
        """Return items in order of position, from the one behind ``after``.

        Raises:
            UnknownPlan: there is no such plan.
        """
        query = select(plan_item).where(plan_item.c.plan_id == plan_id, plan_item.c.position > after)
        with self._database.tenant(tenant.tenant) as connection:
            if connection.execute(select(plan.c.plan_id).where(plan.c.plan_id == plan_id)).one_or_none() is None:
                raise UnknownPlan("there is no such plan")
            rows = connection.execute(query.order_by(plan_item.c.position).limit(limit)).all()
        shown = PlanItem.model_fields
        return [PlanItem.model_validate({name: getattr(row, name) for name in shown}) for row in rows]


def audience(connection: Connection, *, after: str | None, known_at: datetime | None) -> list[str]:
    """Return the next recipients who had a profile at a moment, in order of their ids.

    Those who came since are in no page: they would push as many others behind the last.
    """
    query = select(profile.c.recipient_id).where(profile.c.deleted_at.is_(None))
    if known_at is not None:
        query = query.where(profile.c.created_at <= known_at)
    if after is not None:
        query = query.where(profile.c.recipient_id > after)
    return list(connection.execute(query.order_by(profile.c.recipient_id).limit(PAGE)).scalars())


def put_page(connection: Connection, tenant: Tenant, plan_id: str, page: int, people: People) -> None:
    """Keep who is in a page, sealed."""
    plain = json.dumps({"who": people.who, "worth": people.worth, "last": people.last}, allow_nan=False).encode()
    sealed = subject_keys.of(connection).seal_many(connection, tenant, [(_place(plan_id, page), plain)])[0]
    row = {"tenant": tenant.tenant, "plan_id": plan_id, "page": page, "people": sealed}
    connection.execute(insert(plan_page).values(row))


def read_page(connection: Connection, tenant: Tenant, plan_id: str, page: int) -> People:
    """Return who is in a page."""
    query = select(plan_page.c.people).where(plan_page.c.plan_id == plan_id, plan_page.c.page == page)
    sealed = bytes(connection.execute(query).scalar_one())
    opened = subject_keys.of(connection).open_many(connection, tenant, [(_place(plan_id, page), sealed)])[0]
    return People(**json.loads(opened or b"{}"))


def put_items(connection: Connection, tenant: Tenant, plan_id: str, rows: Iterable[dict[str, Any]]) -> None:
    """Keep what the plan gives to whom; ``rows`` in order, by the names of the table's columns."""
    key = {"tenant": tenant.tenant, "plan_id": plan_id}
    placed = enumerate(rows)
    while batch := list(itertools.islice(placed, _AT_ONCE)):
        connection.execute(insert(plan_item), [key | {"position": position} | row for position, row in batch])


def items_of(connection: Connection, plan_id: str, page: int) -> list[Any]:
    """Return the rows of the items of a page, in order."""
    query = select(plan_item).where(plan_item.c.plan_id == plan_id, plan_item.c.page == page)
    return list(connection.execute(query.order_by(plan_item.c.position)).all())


def note(connection: Connection, plan_id: str, position: int, told: dict[str, Any]) -> None:
    """Keep what became of an item."""
    its = (plan_item.c.plan_id == plan_id) & (plan_item.c.position == position)
    connection.execute(update(plan_item).where(its).values(**told))


def put_summary(connection: Connection, plan_id: str, summary: PlanSummary) -> None:
    """Keep what the plan came to."""
    values = {"summary": summary.model_dump(mode="json")}
    connection.execute(update(plan).where(plan.c.plan_id == plan_id).values(**values))


def forget_people(connection: Connection, plan_id: str) -> None:
    """Delete who was in a plan that has ended."""
    connection.execute(delete(plan_page).where(plan_page.c.plan_id == plan_id))


def people_under_way(connection: Connection, tenant: Tenant) -> list[str]:
    """Return everybody in a plan that goes on, after deleting who was in plans that have ended."""
    ended = select(plan.c.plan_id).join(job, (job.c.tenant == plan.c.tenant) & (job.c.job_id == plan.c.job_id))
    ended = ended.where(job.c.state.in_((JobState.DONE.value, JobState.FAILED.value)))
    connection.execute(delete(plan_page).where(plan_page.c.plan_id.in_(ended)))
    pages = connection.execute(select(plan_page.c.plan_id, plan_page.c.page)).all()
    return [who for row in pages for who in read_page(connection, tenant, row.plan_id, row.page).who]


def _place(plan_id: str, page: int) -> Place:
    return Place(None, "plan_page", "people", f"{plan_id}/{page}")


_AT_ONCE = 1_000
_PEOPLE = select(func.count(), func.statement_timestamp()).select_from(profile).where(profile.c.deleted_at.is_(None))
