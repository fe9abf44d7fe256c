"""Preference templates in PostgreSQL: published in versions that are never changed, and what people think of them."""

import uuid
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, insert, select, text, tuple_
from sqlalchemy.dialects.postgresql import distinct_on

from adapters.postgres import audit, preference_policies, subject_keys
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from adapters.postgres.preference_template_tables import preference_template as templates
from adapters.postgres.preference_template_tables import template_feedback
from adapters.postgres.preferences import NotAllowed
from adapters.postgres.subject_keys import Place
from domain.preference_templates import Template, refusals
from domain.preferences import Finding
from domain.tenants import Tenant
from domain.values import Frozen, Moment

MAX_TEMPLATES = 200
"""Templates one tenant may have: each of them is looked at for a new recipient."""


class UnknownTemplate(LookupError):
    """The tenant has no such template, or not in this version."""


class TemplateChanged(RuntimeError):
    """The template is not in the version the caller saw; version 0 stands for none."""


class PublishedTemplate(Frozen):
    """A template in one of its versions, with who published it."""

    template_id: str
    version: int
    template: Template
    author: str
    published_at: Moment


class Feedback(Frozen):
    """What somebody thinks of a version of a template."""

    rating: int
    comment: str | None
    version: int
    actor: str
    recorded_at: Moment


class PreferenceTemplates:
    """Keeps the templates of tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def publish(
        self, tenant: Tenant, template_id: str, template: Template, *, actor: str, if_version: int | None = None
    ) -> PublishedTemplate:
        """Publish a new version, the first included; what is equal to the newest makes none.

        Whoever has an older version applied keeps it.

        Raises:
            TemplateChanged: another version is the newest than the caller saw.
            NotAllowed: custom settings do not fit the tenant's schema, or there are too many templates.
        """
        with self._database.tenant(tenant.tenant) as connection:
            connection.execute(_ONE_AT_A_TIME, {"tenant": tenant.tenant})
            newest = newest_of(connection, [template_id]).get(template_id)
            present = newest.version if newest else 0
            if if_version is not None and if_version != present:
                raise TemplateChanged(f"the template is in version {present}")
            if newest is not None and newest.template == template:
                return newest
            if newest is None and connection.execute(_COUNT).scalar_one() >= MAX_TEMPLATES:
                raise NotAllowed([Finding(field="template_id", expected=f"one of at most {MAX_TEMPLATES} templates")])
            if found := refusals(template, preference_policies.KIND.read(connection).document.settings_schema):
                raise NotAllowed(found)
            document = template.model_dump(mode="json")
            row = {"tenant": tenant.tenant, "template_id": template_id, "version": present + 1, "actor": actor}
            made = insert(templates).values(row | {"document": document}).returning(templates)
            stored = connection.execute(made).one()
            entry = AuditEntry(action="preference_template.published", actor=actor, object=f"template:{template_id}")
            old = newest.template.model_dump(mode="json") if newest else None
            changed = {"detail": {"version": present + 1}, "old": old, "new": document}
            audit.write(connection, tenant, [entry.model_copy(update=changed)])
        return _published(stored)

    def get(self, tenant: Tenant, template_id: str, version: int | None = None) -> PublishedTemplate:
        """Return a template in a version, None for the newest.

        Raises:
            UnknownTemplate: there is none.
        """
        with self._database.tenant(tenant.tenant) as connection:
            return read(connection, template_id, version)

    def all(self, tenant: Tenant) -> list[PublishedTemplate]:
        """Return every template in its newest version, by id."""
        with self._database.tenant(tenant.tenant) as connection:
            found = newest_of(connection)
        return [found[name] for name in sorted(found)]

    def versions(self, tenant: Tenant, template_id: str) -> list[PublishedTemplate]:
        """Return every version of a template, oldest first.

        Raises:
            UnknownTemplate: there never was one.
        """
        query = select(templates).where(templates.c.template_id == template_id).order_by(templates.c.version)
        with self._database.tenant(tenant.tenant) as connection:
            found = [_published(row) for row in connection.execute(query)]
        if not found:
            raise UnknownTemplate("there never was such a template")
        return found

    def give_feedback(
        self, tenant: Tenant, template_id: str, version: int | None, rating: int, comment: str | None, *, actor: str
    ) -> int:
        """Keep a rating, 1 to 5, of a version, None for the newest; returns the version.

        Raises:
            UnknownTemplate: there is no such version.
        """
        with self._database.tenant(tenant.tenant) as connection:
            rated = read(connection, template_id, version).version
            comment_id, sealed = str(uuid.uuid4()), None
            if comment is not None:
                given = [(_place(comment_id), comment.encode())]
                sealed = subject_keys.of(connection).seal_many(connection, tenant, given)[0]
            row = {"tenant": tenant.tenant, "template_id": template_id, "version": rated, "rating": rating}
            more = {"comment": sealed, "comment_id": comment_id if sealed else None, "actor": actor}
            connection.execute(insert(template_feedback).values(row | more))
            entry = AuditEntry(action="preference_template.rated", actor=actor, object=f"template:{template_id}")
            audit.write(connection, tenant, [entry.model_copy(update={"detail": {"version": rated, "rating": rating}})])
        return rated

    def feedback(
        self, tenant: Tenant, template_id: str, *, limit: int, before: int | None = None
    ) -> list[tuple[int, Feedback]]:
        """Return what was said of a template with its number, newest first, from the one below ``before``.

        Raises:
            UnknownTemplate: there is no such template.
        """
        its = template_feedback.c.template_id == template_id
        if before is not None:
            its &= template_feedback.c.feedback_id < before
        query = select(template_feedback).where(its).order_by(template_feedback.c.feedback_id.desc()).limit(limit)
        with self._database.tenant(tenant.tenant) as connection:
            read(connection, template_id)
            rows = connection.execute(query).all()
            sealed = [(_place(row.comment_id), row.comment) for row in rows if row.comment is not None]
            opened = iter(subject_keys.of(connection).open_many(connection, tenant, sealed) if sealed else [])
            comments = [next(opened) if row.comment is not None else None for row in rows]
            return [(row.feedback_id, _feedback(row, told)) for row, told in zip(rows, comments, strict=True)]


def read(connection: Connection, template_id: str, version: int | None = None) -> PublishedTemplate:
    """Return a template in a transaction that is under way; see ``PreferenceTemplates.get``."""
    query = select(templates).where(templates.c.template_id == template_id)
    if version is not None:
        query = query.where(templates.c.version == version)
    row = connection.execute(query.order_by(templates.c.version.desc()).limit(1)).one_or_none()
    if row is None:
        raise UnknownTemplate("there is no such template")
    return _published(row)


def newest_of(connection: Connection, template_ids: Iterable[str] | None = None) -> dict[str, PublishedTemplate]:
    """Return templates in their newest versions by id, all of them unless some are named."""
    query = select(templates).ext(distinct_on(templates.c.template_id))
    if template_ids is not None:
        query = query.where(templates.c.template_id.in_(list(template_ids)))
    rows = connection.execute(query.order_by(templates.c.template_id, templates.c.version.desc()))
    return {row.template_id: _published(row) for row in rows}


def versions_of(connection: Connection, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Template]:
    """Return the versions that are named, with one query; none when none is."""
    named = list(wanted)
    if not named:
        return {}
    query = select(templates).where(tuple_(templates.c.template_id, templates.c.version).in_(named))
    return {(row.template_id, row.version): Template.model_validate(row.document) for row in connection.execute(query)}


def _published(row: Row[Any]) -> PublishedTemplate:
    return PublishedTemplate(
        template_id=row.template_id,
        version=row.version,
        template=Template.model_validate(row.document),
        author=row.actor,
        published_at=row.published_at,
    )


def _feedback(row: Row[Any], comment: bytes | None) -> Feedback:
    return Feedback(
        rating=row.rating,
        comment=comment.decode() if comment is not None else None,
        version=row.version,
        actor=row.actor,
        recorded_at=row.recorded_at,
    )


def _place(comment_id: str) -> Place:
    return Place(None, "template_feedback", "comment", comment_id)


_COUNT = text("SELECT count(DISTINCT template_id) FROM preference_template")
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('kairos.preference_template/' || :tenant, 0))")
