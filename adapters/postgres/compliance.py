"""Counts for duties and impact assessments: everything a report says is counted here, at the moment it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from adapters.postgres import audit, mail_counts, message_types, profiles
from adapters.postgres.audit import AuditEntry
from adapters.postgres.decision_history import DecisionHistory
from adapters.postgres.engine import Database
from domain import consent
from domain.consent import ConsentState
from domain.identity import subject_key
from domain.legal import duties, publication, replay, tracking
from domain.legal.duties import DecisionCounts, Duty, StoreCounts
from domain.legal.places import country_of, place_of
from domain.legal.publication import CannotPublish
from domain.legal.rules import RuleSet
from domain.message_types import MessageType
from domain.tenants import Tenant
from domain.values import Channel, MessageClass, Purpose


@dataclass(frozen=True)
class Found:
    """Duties, with the counts of decisions they were judged by."""

    duties: tuple[Duty, ...]
    decided: DecisionCounts


class Compliance:
    """Judges duties by what the stores hold."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._history = DecisionHistory(database)

    def judge(
        self, tenant: Tenant, rules: RuleSet, *, now: datetime, actor: str, recipient_id: str | None = None
    ) -> Found:
        """Return every rule that reaches the tenant, or one recipient where they may be; the reading is audited.

        Raises:
            Unavailable: PostgreSQL is away.
        """
        subject = subject_key(tenant.subject_secret, recipient_id) if recipient_id is not None else None
        with self._database.tenant(tenant.tenant) as connection:
            countries = _countries(connection, tenant, recipient_id) if recipient_id is not None else None
            stored = _stored(connection, tenant, rules, now, {"recipient_id": recipient_id, "subject_key": subject})
            entry = AuditEntry(action="compliance.read", actor=actor, object="compliance", recipient_id=recipient_id)
            audit.write(connection, tenant, [entry])
        decided = DecisionCounts()
        for record in self._history.records(tenant, actor=actor, recipient_id=recipient_id):
            decided.add(record, replay.past(record), rules)
        return Found(duties.judged(rules.applying(countries), stored, decided), decided)


def _countries(connection: Connection, tenant: Tenant, recipient_id: str) -> frozenset[str] | None:
    found = profiles.read(connection, tenant, [recipient_id]).get(recipient_id)
    return place_of(found.profile if found is not None else None, None, tenant.zone).countries


def _stored(
    connection: Connection, tenant: Tenant, rules: RuleSet, now: datetime, whose: dict[str, Any]
) -> StoreCounts:
    given = {**whose, "now": now, "since": now - duties.overdue_after(rules)}
    grants = connection.execute(_GRANTS, given).one()
    signals, keywords = (
        connection.execute(_REVOKED, {**whose, "source": source}).one() for source in ("opt_out_signal", "sms_keyword")
    )
    erasures = connection.execute(_ERASURES, given).one()
    mail = [each for each in _types(connection) if _is_marketing_mail(each)]
    opens, without = _opens(connection, tenant, rules, whose)
    return StoreCounts(
        grants=grants.given,
        grants_without_proof=grants.unproven,
        opens=opens,
        opens_without_consent=without,
        signals=signals.said,
        signals_undone=signals.undone,
        keyword_revocations=keywords.said,
        keyword_revocations_undone=keywords.undone,
        erasures_open=erasures.waiting,
        erasures_overdue=erasures.overdue,
        mail_types=len(mail),
        mail_types_unfit=sum(map(_is_unfit, mail)),
        complaint_share=mail_counts.share(connection, now=now, days=rules.complaint_days),
    )


def _types(connection: Connection) -> list[MessageType]:
    names = list(connection.execute(text("SELECT DISTINCT type FROM message_type")).scalars())
    return [each.definition for each in message_types.read(connection, names).values()]


def _is_marketing_mail(definition: MessageType) -> bool:
    return definition.message_class is MessageClass.MARKETING and Channel.EMAIL in definition.channels


def _is_unfit(definition: MessageType) -> bool:
    try:
        publication.check(definition)
    except CannotPublish:
        return True
    return False


def _opens(connection: Connection, tenant: Tenant, rules: RuleSet, whose: dict[str, Any]) -> tuple[int, int]:
    """Count opened mail, and what of it was measured without the consent that the place of the person demands."""
    histories: dict[str, list[ConsentState]] = {}
    for row in connection.execute(_TRACKING, whose):
        states = histories.setdefault(row.recipient_id, [])
        states.append(ConsentState.model_validate({**row._mapping["state"], "purpose": Purpose.OPEN_TRACKING}))  # noqa: SLF001
    opens = without = 0
    for row in connection.execute(_OPENED, whose):
        opens += 1
        country = country_of(row.time_zone or tenant.time_zone)
        rule = tracking.demanding(
            rules,
            frozenset({country}) if country is not None else None,
            message_class=MessageClass.MARKETING,
            channel=Channel.EMAIL,
        )
        standing = consent.as_of(histories.get(row.recipient_id, ()), row.occurred_at)
        found = tracking.verdict(rule, standing, channel=Channel.EMAIL, now=row.occurred_at)
        without += not found.is_allowed
    return opens, without


def impact(connection: Connection, *, now: datetime) -> dict[str, Any]:
    """Return what an impact assessment asks for about the connection's tenant: people, consents, safeguards."""
    people = connection.execute(_PEOPLE).mappings().one()
    consents: Sequence[Any] = connection.execute(_PURPOSES, {"now": now}).mappings().all()
    return {"people": dict(people), "consents": [dict(row) for row in consents]}


_GRANTS = text("""
SELECT count(*) AS given, count(*) FILTER (WHERE r.text_version IS NULL OR r.source = '' OR r.actor = '') AS unproven
FROM consent_state s JOIN consent_record r ON r.tenant = s.tenant AND r.record_id = s.record_id
WHERE s.purpose = 'marketing' AND s.status = 'given' AND (s.expires_at IS NULL OR s.expires_at > :now)
    AND (CAST(:recipient_id AS text) IS NULL OR s.recipient_id = :recipient_id)
""")

_REVOKED = text("""
SELECT count(*) AS said, count(*) FILTER (WHERE NOT EXISTS (
    SELECT 1 FROM consent_state s WHERE s.tenant = r.tenant AND s.recipient_id = r.recipient_id
        AND s.purpose = r.purpose AND s.channel = r.channel AND s.effective_at >= r.effective_at)) AS undone
FROM consent_record r
WHERE r.source = :source AND r.status = 'withdrawn'
    AND (CAST(:recipient_id AS text) IS NULL OR r.recipient_id = :recipient_id)
""")

_ERASURES = text("""
SELECT count(*) AS waiting, count(*) FILTER (WHERE requested_at < :since) AS overdue FROM erasure
WHERE finished_at IS NULL AND (CAST(:subject_key AS text) IS NULL OR subject_key = :subject_key)
""")

_TRACKING = text("""
SELECT recipient_id, json_build_object('channel', channel, 'status', status, 'effective_at', effective_at,
    'expires_at', expires_at) AS state
FROM consent_record WHERE purpose = 'open_tracking'
    AND (CAST(:recipient_id AS text) IS NULL OR recipient_id = :recipient_id)
""")

_OPENED = text("""
SELECT e.recipient_id, e.occurred_at, p.time_zone FROM event e
LEFT JOIN profile p ON p.tenant = e.tenant AND p.recipient_id = e.recipient_id
WHERE e.type = 'opened' AND e.channel = 'email'
    AND (CAST(:recipient_id AS text) IS NULL OR e.recipient_id = :recipient_id)
""")

_PEOPLE = text("""
SELECT (SELECT count(*) FROM consent_head) AS known_to_consent, (SELECT count(*) FROM profile) AS profiles,
    (SELECT count(*) FROM profile WHERE document IS NULL) AS profiles_not_sealed,
    (SELECT count(DISTINCT recipient_id) FROM event) AS with_events, (SELECT count(*) FROM event) AS events,
    (SELECT count(DISTINCT subject_key) FROM decision) AS decided_about,
    (SELECT count(*) FROM suppressed_address) AS suppressed_addresses,
    (SELECT count(*) FROM erasure) AS erasures,
    (SELECT count(*) FROM erasure WHERE finished_at IS NULL) AS erasures_open,
    (SELECT count(*) FROM audit) AS audit_rows
""")

_PURPOSES = text("""
SELECT purpose, CASE WHEN status = 'given' AND expires_at <= :now THEN 'expired' ELSE status END AS status,
    count(DISTINCT recipient_id) AS people
FROM consent_state GROUP BY 1, 2 ORDER BY 1, 2
""")
