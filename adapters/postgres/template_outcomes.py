"""What members of templates did since they have them: counted for statistics, and compared for learned defaults.

Only members who consented to the purpose count, at most ``MAX_MEMBERS`` of a version, always the same ones. Nothing
finer than ``MIN_GROUP`` members is told.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, text

from adapters.postgres import allowances, preference_templates, template_members
from adapters.postgres.engine import Database
from adapters.postgres.preference_template_tables import template_application, template_feedback
from domain import consent
from domain.tenants import Tenant
from domain.values import Channel, Frozen, Purpose

MAX_MEMBERS = 1_000
MIN_GROUP = 10
WINDOW = timedelta(days=90)


@dataclass(frozen=True)
class MemberOutcome:
    """What one member did in the last 90 days, as far as they had the template."""

    recipient_id: str
    template_id: str
    version: int
    was_sent: bool
    has_engaged: bool
    has_opted_out: bool


class Usage(Frozen):
    """How often a version was applied, and how many have it; null below 10."""

    applications: int
    rolled_back: int
    members: int | None


class Ratings(Frozen):
    """What people think of a version, 1 to 5."""

    count: int
    mean: float | None


class Outcomes(Frozen):
    """What those who were sent something did; null below 10 of them. Observed, and no proof of a cause."""

    was_sent: int | None
    engaged: int | None = None
    opted_out: int | None = None
    engaged_rate: float | None = None
    opt_out_rate: float | None = None


class Statistics(Frozen):
    """A version of a template in numbers."""

    template_id: str
    version: int
    usage: Usage
    feedback: Ratings
    outcomes: Outcomes


class TemplateStatistics:
    """Counts what became of templates."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, tenant: Tenant, template_id: str, version: int | None, *, now: datetime) -> Statistics:
        """Return the numbers of a version, None for the newest, over members who consented to analytics.

        Raises:
            UnknownTemplate: there is no such version.
        """
        with self._database.tenant(tenant.tenant) as connection:
            found = preference_templates.read(connection, template_id, version).version
            outcomes = read(connection, [(template_id, found)], purpose=Purpose.ANALYTICS, now=now)
            return Statistics(
                template_id=template_id,
                version=found,
                usage=_usage(connection, template_id, found),
                feedback=_ratings(connection, template_id, found),
                outcomes=_told([each for each in outcomes if each.was_sent]),
            )


def read(
    connection: Connection,
    versions: Iterable[tuple[str, int]],
    *,
    purpose: Purpose,
    now: datetime,
    most: int = MAX_MEMBERS,
) -> list[MemberOutcome]:
    """Return what members of some versions, ``most`` of each, did who consented to a purpose on every channel.

    Engaged is an opened, clicked or converted message; opted out is an unsubscription, a complaint, or a withdrawn or
    refused consent to marketing.
    """
    given = {"since": now - WINDOW, "now": now, "most": most}
    found: list[MemberOutcome] = []
    for template_id, version in versions:
        rows = connection.execute(_OUTCOMES, given | {"template_id": template_id, "version": version})
        found += [MemberOutcome(**row) for row in rows.mappings()]
    allowed = allowances.read(connection, [each.recipient_id for each in found]) if found else {}
    return [
        each
        for each in found
        if not allowed[each.recipient_id].is_deleted
        and all(
            consent.refusal(allowed[each.recipient_id].consents, purpose=purpose, channel=channel, now=now) is None
            for channel in Channel
        )
    ]


def _usage(connection: Connection, template_id: str, version: int) -> Usage:
    its = (template_application.c.template_id == template_id) & (template_application.c.version == version)
    counted = select(func.count(), func.count(template_application.c.rolled_back_at)).where(its)
    applications, rolled_back = connection.execute(counted.select_from(template_application)).one()
    members = template_members.count(connection, template_id, version)
    return Usage(applications=applications, rolled_back=rolled_back, members=members if members >= MIN_GROUP else None)


def _ratings(connection: Connection, template_id: str, version: int) -> Ratings:
    its = (template_feedback.c.template_id == template_id) & (template_feedback.c.version == version)
    count, mean = connection.execute(select(func.count(), func.avg(template_feedback.c.rating)).where(its)).one()
    return Ratings(count=count, mean=float(mean) if mean is not None else None)


def _told(sent: list[MemberOutcome]) -> Outcomes:
    if len(sent) < MIN_GROUP:
        return Outcomes(was_sent=None)
    engaged, opted_out = sum(each.has_engaged for each in sent), sum(each.has_opted_out for each in sent)
    return Outcomes(
        was_sent=len(sent),
        engaged=engaged,
        opted_out=opted_out,
        engaged_rate=round(engaged / len(sent), 6),
        opt_out_rate=round(opted_out / len(sent), 6),
    )


_OUTCOMES = text("""
WITH member AS (
    SELECT recipient_id, template_id, version, greatest(since, :since) AS since FROM template_member
    WHERE template_id = :template_id AND version = :version ORDER BY md5(recipient_id) LIMIT :most
), did AS (
    SELECT m.recipient_id, bool_or(e.type IN ('opened', 'clicked', 'converted')) AS engaged,
        bool_or(e.type IN ('unsubscribed', 'complained')) AS opted_out
    FROM member m JOIN event e ON e.recipient_id = m.recipient_id
    WHERE e.occurred_at BETWEEN m.since AND :now AND e.occurred_at >= :since
        AND e.type IN ('notification_sent', 'delivered', 'opened', 'clicked', 'converted', 'unsubscribed', 'complained')
    GROUP BY m.recipient_id
)
SELECT m.recipient_id, m.template_id, m.version, d.recipient_id IS NOT NULL AS was_sent,
    coalesce(d.engaged, false) AS has_engaged,
    coalesce(d.opted_out, false) OR EXISTS (
        SELECT FROM consent_record c WHERE c.recipient_id = m.recipient_id AND c.purpose = 'marketing'
            AND c.status IN ('withdrawn', 'refused') AND c.effective_at BETWEEN m.since AND :now) AS has_opted_out
FROM member m LEFT JOIN did d USING (recipient_id)
""")
"""Whoever opened, clicked or left was sent something, whether or not anybody reported the sending."""
