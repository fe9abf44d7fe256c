"""What a stored event changes besides the log: suppressions, consents and deleted profiles, in its transaction.

Each effect comes out the same in whatever order its events arrive, and only ever takes a permission away.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import JsonValue
from sqlalchemy import Connection, text

from adapters import legal_rule_files
from adapters.postgres import (
    allowances,
    audit,
    changes,
    consent,
    contacts,
    deletions,
    erasures,
    follow_ups,
    mail_counts,
    opt_out_signals,
)
from adapters.postgres.audit import AuditEntry
from domain.changes import ChangeKind
from domain.consent import ConsentChange, ConsentStatus
from domain.events import EngagementEvent, EventType
from domain.legal import signals
from domain.legal.rules import RuleSet
from domain.suppression import SuppressionCause
from domain.tenants import Tenant
from domain.values import Purpose

ACTOR = "event"
"""Who changed it, in consent and audit records; the event's source and id are the proof."""


class EventEffects:
    """Applies the effects of newly stored events."""

    def __init__(self, rules: RuleSet | None = None) -> None:
        """Prepare; ``rules`` are those in force, unless told the newest that were published."""
        self._rules = rules or legal_rule_files.published(legal_rule_files.versions()[-1])
        self._gpc = signals.heard(self._rules, {signals.GPC_HEADER: signals.GPC_VALUE})

    def apply(
        self, connection: Connection, tenant: Tenant, events: Sequence[EngagementEvent], *, now: datetime
    ) -> None:
        """Apply them, in the transaction that stores the events.

        Args:
            connection: the transaction.
            tenant: whose events.
            events: only those that are stored now for the first time.
            now: the tenant's clock.
        """
        events = _by_survivors(connection, events)
        found = [event for event in events if event.type in _WITH_EFFECT]
        signalled = self._signalled(connection, tenant, events, now)
        if found or signalled:
            # A decision under way holds these heads: it is recorded before, or sees what follows.
            whose = {event.recipient_id for event in found}.union(signalled)
            suppressed, deleted = _suppressions(found), _deletions(found)
            versions = allowances.touch(connection, tenant.tenant, whose, kind=None)
            consent.apply(connection, tenant, _together(_withdrawals(found), signalled), actor=ACTOR, now=now)
            _suppress(connection, tenant, suppressed)
            _delete(connection, tenant, deleted, now=now)
            for kind, who in ((ChangeKind.SUPPRESSION, {key[0] for key in suppressed}), (ChangeKind.PROFILE, deleted)):
                told = {recipient: versions[recipient] for recipient in who}
                changes.announce(connection, tenant.tenant, kind, told)
        mail_counts.count(connection, tenant.tenant, events)
        events = follow_ups.renamed(connection, events)
        follow_ups.hear(connection, events, now=now)
        contacts.note(connection, tenant, events, now=now)

    def _signalled(
        self, connection: Connection, tenant: Tenant, events: Sequence[EngagementEvent], now: datetime
    ) -> consent.Changes:
        """Return what the recipients' browsers opt out of that holds not yet; most events carry no signal."""
        proofs: dict[str, dict[str, JsonValue]] = {
            event.recipient_id: {"event_source": event.source, "event_id": event.event_id}
            for event in events
            if event.context is not None and event.context.global_privacy_control
        }
        return opt_out_signals.pending(connection, tenant, self._rules, proofs, self._gpc, now=now) if proofs else {}


def _by_survivors(connection: Connection, events: Sequence[EngagementEvent]) -> list[EngagementEvent]:
    """Return the events with who stands for their recipient now; the log keeps them as they were said."""
    standing_for = allowances.survivors(connection, {event.recipient_id for event in events})
    return [
        event
        if standing_for[event.recipient_id] == event.recipient_id
        else event.model_copy(update={"recipient_id": standing_for[event.recipient_id]})
        for event in events
    ]


def _together(*parts: consent.Changes) -> consent.Changes:
    whose = {recipient for part in parts for recipient in part}
    return {who: [change for part in parts for change in part.get(who, ())] for who in whose}


_WITH_EFFECT = frozenset({EventType.BOUNCED, EventType.COMPLAINED, EventType.UNSUBSCRIBED, EventType.RECIPIENT_DELETED})


def _withdrawals(events: Iterable[EngagementEvent]) -> consent.Changes:
    changes: dict[str, list[ConsentChange]] = defaultdict(list)
    for event in events:
        if event.type is EventType.UNSUBSCRIBED and event.channel is not None:
            withdrawn = ConsentChange(
                purpose=Purpose.MARKETING,
                channel=event.channel,
                status=ConsentStatus.WITHDRAWN,
                effective_at=event.occurred_at,
                source=ACTOR,
                proof={"event_source": event.source, "event_id": event.event_id},
            )
            changes[event.recipient_id].append(withdrawn)
    return changes


_Suppressions = dict[tuple[str, str, str], datetime]


def _suppressions(events: Iterable[EngagementEvent]) -> _Suppressions:
    """Return the earliest moment of each (recipient, channel, cause); a soft bounce is none, it may pass."""
    earliest: _Suppressions = {}
    for event in events:
        cause = _cause(event)
        if cause is not None and event.channel is not None:
            key = (event.recipient_id, event.channel.value, cause.value)
            earliest[key] = min(event.occurred_at, earliest.get(key, event.occurred_at))
    return earliest


def _cause(event: EngagementEvent) -> SuppressionCause | None:
    if event.type is EventType.COMPLAINED:
        return SuppressionCause.COMPLAINED
    if event.type is EventType.BOUNCED and event.properties.get("bounce_type") == "hard":
        return SuppressionCause.BOUNCED
    return None


def _suppress(connection: Connection, tenant: Tenant, found: _Suppressions) -> None:
    # One statement per cause: a statement may touch a row of (recipient, channel) only once.
    for cause in SuppressionCause:
        rows = sorted((recipient, channel, since) for (recipient, channel, why), since in found.items() if why == cause)
        if rows:
            recipients, channels, moments = map(list, zip(*rows, strict=True))
            given = {"recipient_id": recipients, "channel": channels, "since": moments, "reason": cause.value}
            connection.execute(_SUPPRESS, {"tenant": tenant.tenant} | given)
    audit.write(connection, tenant, [_suppressed(*key) for key in sorted(found)])


def _suppressed(recipient_id: str, channel: str, cause: str) -> AuditEntry:
    return AuditEntry(
        action="suppression.added",
        actor=ACTOR,
        object=f"channel:{channel}",
        recipient_id=recipient_id,
        detail={"cause": cause},
    )


_SUPPRESS = text("""
INSERT INTO suppression (tenant, recipient_id, channel, reason, since, source)
SELECT :tenant, recipient_id, channel, :reason, since, 'event' FROM unnest(
    CAST(:recipient_id AS text[]), CAST(:channel AS text[]), CAST(:since AS timestamptz[]))
    AS given (recipient_id, channel, since)
ON CONFLICT (tenant, recipient_id, channel) DO UPDATE SET
    since = CASE WHEN suppression.reason = excluded.reason THEN least(suppression.since, excluded.since)
                 ELSE excluded.since END,
    reason = excluded.reason
WHERE suppression.reason = excluded.reason OR excluded.reason = 'bounced'
""")
"""A bounce holds for every class of message, a complaint for marketing: the bounce stays."""


def _deletions(events: Iterable[EngagementEvent]) -> dict[str, datetime]:
    earliest: dict[str, datetime] = {}
    for event in events:
        if event.type is EventType.RECIPIENT_DELETED:
            earliest[event.recipient_id] = min(event.occurred_at, earliest.get(event.recipient_id, event.occurred_at))
    return earliest


def _delete(connection: Connection, tenant: Tenant, deleted: dict[str, datetime], *, now: datetime) -> None:
    if not deleted:
        return
    merged = allowances.hold_aliases(connection, tenant.tenant, deleted)
    deleted = deleted | {alias: deleted[stays] for alias, stays in merged.items()}
    deletions.delete(connection, tenant.tenant, deleted)
    entries = [
        AuditEntry(action="profile.deleted", actor=ACTOR, object="profile", recipient_id=recipient)
        for recipient in sorted(deleted)
    ]
    audit.write(connection, tenant, entries)
    erasures.request(connection, tenant, deleted, actor=ACTOR, keep={}, now=now)
