"""Applications of templates: what was applied to whom, at once or as a job, and taking exactly that back.

The record of an application, its job and the job's payload are one commit; so are a roll-back and its job.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, text, update

from adapters.clock import Clock
from adapters.postgres import allowances, audit, preference_templates, template_applying, template_members
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.job_tables import job as jobs
from adapters.postgres.jobs import Jobs
from adapters.postgres.preference_template_tables import template_application as applications
from adapters.postgres.preference_templates import PublishedTemplate
from adapters.postgres.preferences import RecipientGone
from adapters.postgres.recipient_facts import RecipientFacts
from adapters.postgres.template_applying import Application, Applied, Judged
from domain.changes import ChangeKind
from domain.jobs import ItemResult, ItemVerdict, Job, JobState
from domain.preference_templates import Membership
from domain.tenants import Tenant
from domain.values import Frozen, Moment

APPLY_KIND = "templates.apply"
ROLL_BACK_KIND = "templates.roll_back"
MAX_AUDIENCE = 100_000
"""Most recipients an audience is looked for among."""
_EXPECTED = {
    Applied.CONDITIONS_NOT_MET: "a recipient of whom the template's conditions are true",
    Applied.GONE: "a recipient who was not deleted",
}


class UnknownApplication(LookupError):
    """There is no such application."""


class UnknownAudience(LookupError):
    """The template has no audience of this name."""


class TooMany(ValueError):
    """The tenant has more recipients than an audience is looked for among."""


class NotMet(ValueError):
    """The template's conditions are not true of the recipient."""


class NotNow(RuntimeError):
    """The application is under way, or was rolled back already."""


class AppliedTemplate(Frozen):
    """One application of a template."""

    application_id: str
    template_id: str
    version: int
    audience: str | None
    total: int
    actor: str
    applied_at: Moment
    rolled_back_at: Moment | None
    job: Job | None
    rollback_job: Job | None


class TemplateApplications:
    """Applies templates and takes applications back."""

    def __init__(self, database: Database, facts: RecipientFacts, clock: Clock) -> None:
        self._database = database
        self._jobs = Jobs(database)
        self._facts = facts
        self._clock = clock

    def membership(self, tenant: Tenant, recipient_id: str, *, actor: str) -> Membership | None:
        """Return the template a recipient has, None for none; reading it is audited."""
        with self._database.tenant(tenant.tenant) as connection:
            found = template_members.read(connection, [recipient_id]).get(recipient_id)
            entry = AuditEntry(action="preference_template.read", actor=actor, object="template")
            audit.write(connection, tenant, [entry.model_copy(update={"recipient_id": recipient_id})])
        return found

    def apply(
        self, tenant: Tenant, recipient_id: str, template_id: str, version: int | None, *, actor: str
    ) -> Membership:
        """Apply a version, None for the newest, to one recipient at once.

        Raises:
            UnknownTemplate: there is no such version.
            NotMet: its conditions are not true of the recipient.
            RecipientGone: the recipient was deleted.
        """
        with self._database.tenant(tenant.tenant) as connection:
            published = preference_templates.read(connection, template_id, version)
            asked = Application(str(uuid.uuid4()), published, actor, self._clock.now(tenant))
            return self.apply_one(connection, tenant, recipient_id, asked)

    def apply_one(self, connection: Connection, tenant: Tenant, recipient_id: str, asked: Application) -> Membership:
        """Apply to one recipient in a transaction that is under way; see ``apply``."""
        outcome = template_applying.apply(connection, tenant, [recipient_id], asked, self._facts)[recipient_id]
        if outcome is Applied.GONE:
            raise RecipientGone("this recipient was deleted")
        if outcome is Applied.CONDITIONS_NOT_MET:
            raise NotMet("the template's conditions are not true of this recipient")
        if outcome is Applied.CHANGED:
            self._record(connection, tenant, asked, total=1, job_id=None)
        return template_members.read(connection, [recipient_id])[recipient_id]

    def leave(self, tenant: Tenant, recipient_id: str, *, actor: str) -> bool:
        """Take a recipient out of their template; returns whether they had one."""
        with self._database.tenant(tenant.tenant) as connection:
            allowances.touch(connection, tenant.tenant, [recipient_id], kind=ChangeKind.PREFERENCE)
            return template_members.leave(connection, tenant, recipient_id, actor=actor)

    def submit(
        self,
        tenant: Tenant,
        template_id: str,
        version: int | None,
        *,
        recipient_ids: Sequence[str] | None,
        audience: str | None,
        actor: str,
    ) -> AppliedTemplate:
        """Queue a job that applies a version, None for the newest, to recipients, or to an audience of it.

        Raises:
            UnknownTemplate: there is no such version.
            UnknownAudience: the version has no such audience.
            TooMany: an audience is looked for among more recipients than is done at once.
        """
        with self._database.joined(tenant.tenant) as connection:
            published = _published(connection, template_id, version, audience)
            named = list(recipient_ids) if recipient_ids is not None else _everybody(connection)
            now = self._clock.now(tenant)
            asked = Application(str(uuid.uuid4()), published, actor, now, audience)
            names = {"application_id": asked.application_id, "template_id": template_id, "audience": audience}
            payload = {**names, "version": published.version, "recipient_ids": named}
            job = (
                self._jobs.submit(tenant, APPLY_KIND, total=len(named), payload=payload, actor=actor) if named else None
            )
            self._record(connection, tenant, asked, total=len(named), job_id=job.job_id if job else None)
            return self._read(connection, tenant, asked.application_id)

    def judged(
        self,
        tenant: Tenant,
        template_id: str,
        version: int | None,
        recipient_ids: Sequence[str],
        *,
        audience: str | None,
        actor: str,
    ) -> Judged:
        """Return what applying a version, None for the newest, would do to each recipient; nothing is changed.

        Raises:
            UnknownTemplate: there is no such version.
            UnknownAudience: the version has no such audience.
        """
        with self._database.tenant(tenant.tenant) as connection:
            published = _published(connection, template_id, version, audience)
            asked = Application(str(uuid.uuid4()), published, actor, self._clock.now(tenant), audience)
            return template_applying.judge(connection, tenant, recipient_ids, asked, self._facts)

    def sample(self, tenant: Tenant, size: int) -> list[str]:
        """Return up to ``size`` recipients with a profile, in no order of theirs and always the same."""
        with self._database.tenant(tenant.tenant) as connection:
            return sorted(connection.execute(_SAMPLE, {"limit": size}).scalars())

    def get(self, tenant: Tenant, application_id: str) -> AppliedTemplate:
        """Return an application with its jobs as they stand.

        Raises:
            UnknownApplication: there is none.
        """
        with self._database.joined(tenant.tenant) as connection:
            return self._read(connection, tenant, application_id)

    def roll_back(self, tenant: Tenant, application_id: str, *, actor: str) -> AppliedTemplate:
        """Queue a job that gives everybody an application changed what they had, unless that was changed since.

        Raises:
            UnknownApplication: there is none.
            NotNow: it is under way, or was rolled back already.
        """
        with self._database.joined(tenant.tenant) as connection:
            held = select(applications).where(applications.c.application_id == application_id).with_for_update()
            row = connection.execute(held).one_or_none()
            if row is None:
                raise UnknownApplication("there is no such application")
            if row.rolled_back_at is not None or _is_under_way(connection, row.job_id):
                raise NotNow("it is under way, or was rolled back already")
            changed = template_members.changed_by(connection, application_id)
            job_id = None
            if changed:
                payload = {"application_id": application_id, "recipient_ids": changed}
                job = self._jobs.submit(tenant, ROLL_BACK_KIND, total=len(changed), payload=payload, actor=actor)
                job_id = job.job_id
            here = update(applications).where(applications.c.application_id == application_id)
            connection.execute(here.values(rolled_back_at=text("clock_timestamp()"), rollback_job_id=job_id))
            return self._read(connection, tenant, application_id)

    def apply_items(
        self, connection: Connection, tenant: Tenant, payload: Any, places: range, actor: str
    ) -> list[ItemResult]:
        """Apply to the recipients at these places: what a job does; see ``Handler``."""
        published = preference_templates.read(connection, payload["template_id"], payload["version"])
        now = self._clock.now(tenant)
        asked = Application(payload["application_id"], published, actor, now, payload["audience"])
        named = [payload["recipient_ids"][place] for place in places]
        found = template_applying.apply(connection, tenant, named, asked, self._facts)
        return [_verdict(place, found[who]) for place, who in zip(places, named, strict=True)]

    def restore_items(
        self, connection: Connection, tenant: Tenant, payload: Any, places: range, actor: str
    ) -> list[ItemResult]:
        """Give back what the recipients at these places had: what a job does; see ``Handler``."""
        named = [payload["recipient_ids"][place] for place in places]
        # Who was merged into somebody meanwhile has no membership to give back.
        own = [who for who, stays in allowances.survivors(connection, named).items() if who == stays]
        allowances.touch(connection, tenant.tenant, own, kind=ChangeKind.PREFERENCE)
        done = template_members.restore(connection, tenant, payload["application_id"], own, actor=actor)
        return [_restored(place, is_done=who in done) for place, who in zip(places, named, strict=True)]

    def _record(
        self, connection: Connection, tenant: Tenant, asked: Application, *, total: int, job_id: str | None
    ) -> None:
        names = {"tenant": tenant.tenant, "application_id": asked.application_id, "audience": asked.audience}
        its = asked.published
        row = {**names, "template_id": its.template_id, "version": its.version, "total": total, "job_id": job_id}
        connection.execute(insert(applications).values(**row, actor=asked.actor))

    def _read(self, connection: Connection, tenant: Tenant, application_id: str) -> AppliedTemplate:
        query = select(applications).where(applications.c.application_id == application_id)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise UnknownApplication("there is no such application")
        names = {"job": row.job_id, "rollback_job": row.rollback_job_id}
        told = {name: self._jobs.get(tenant, job_id) if job_id is not None else None for name, job_id in names.items()}
        fields = {name: row._mapping[name] for name in AppliedTemplate.model_fields if name not in names}  # noqa: SLF001
        return AppliedTemplate(**fields, **told)


def _published(
    connection: Connection, template_id: str, version: int | None, audience: str | None
) -> PublishedTemplate:
    published = preference_templates.read(connection, template_id, version)
    if audience is not None and published.template.audience(audience) is None:
        raise UnknownAudience("the template has no such audience")
    return published


def _everybody(connection: Connection) -> list[str]:
    found = list(connection.execute(_EVERYBODY, {"limit": MAX_AUDIENCE + 1}).scalars())
    if len(found) > MAX_AUDIENCE:
        raise TooMany(f"an audience is looked for among at most {MAX_AUDIENCE} recipients")
    return sorted(found)


def _is_under_way(connection: Connection, job_id: str | None) -> bool:
    state = connection.execute(select(jobs.c.state).where(jobs.c.job_id == job_id)).scalar_one_or_none()
    return state is not None and not JobState(state).has_ended


def _verdict(place: int, outcome: Applied) -> ItemResult:
    if outcome in _EXPECTED:
        detail = {"field": "recipient_ids", "expected": _EXPECTED[outcome]}
        return ItemResult(position=place, verdict=ItemVerdict.REFUSED, detail=detail)
    return ItemResult(position=place, verdict=ItemVerdict.DONE, detail={"outcome": outcome.value})


def _restored(place: int, *, is_done: bool) -> ItemResult:
    if is_done:
        return ItemResult(position=place, verdict=ItemVerdict.DONE, detail={"outcome": "restored"})
    detail = {"field": "recipient_ids", "expected": "a recipient whose template was not changed since"}
    return ItemResult(position=place, verdict=ItemVerdict.REFUSED, detail=detail)


_SAMPLE = text("SELECT recipient_id FROM profile WHERE deleted_at IS NULL ORDER BY md5(recipient_id) LIMIT :limit")
_EVERYBODY = text("SELECT recipient_id FROM profile WHERE deleted_at IS NULL LIMIT :limit")
