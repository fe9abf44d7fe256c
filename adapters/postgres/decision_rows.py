"""Rows of decisions: stored with their audit row and what hooks are told, in one statement, and read back."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text

from adapters.postgres import audit
from adapters.postgres.tables import decision as decisions
from domain.contact_budget import Contact
from domain.handover import Follows, FollowUp
from domain.preference_gate import LastSent


@dataclass(frozen=True)
class Row:
    """A decision as it is stored; ``recipient_id`` only keys the lock and the audit row's pseudonym."""

    decision_id: str
    recipient_id: str
    subject_key: str
    fingerprint: bytes
    decided_at: datetime
    outcome: str
    message_type: str
    campaign_id: str | None
    reason: str
    action_probability: float
    consent_version: int
    category: str
    record: dict[str, Any]
    answer: dict[str, Any]
    sent: LastSent | None = None
    contact: Contact | None = None
    follow_up: FollowUp | None = None
    follows: Follows | None = None


@dataclass(frozen=True)
class Recorded:
    """What was answered under a decision's id, and to which request.

    ``answer`` has no content: that is never stored. ``locale`` is the language it was in, None when nothing was sent.
    ``blocks`` are the words that a content system gave for it, as recorded.
    """

    fingerprint: bytes
    answer: dict[str, Any]
    locale: str | None
    decided_at: datetime
    is_new: bool = False
    blocks: Sequence[dict[str, Any]] = ()


def insert(connection: Connection, tenant: str, actor: str, rows: Sequence[Row]) -> set[str]:
    """Store decisions with their audit rows; return the ids nobody had recorded before."""
    given = [
        {
            "decision_id": row.decision_id,
            "subject_key": row.subject_key,
            "fingerprint": row.fingerprint.hex(),
            "decided_at": row.decided_at.isoformat(),
            "outcome": row.outcome,
            "message_type": row.message_type,
            "campaign_id": row.campaign_id,
            "reason": row.reason,
            "action_probability": row.action_probability,
            "consent_version": row.consent_version,
            "category": row.category,
            "record": row.record,
            "answer": row.answer,
        }
        for row in rows
    ]
    named = {"tenant": tenant, "actor": actor, "context": json.dumps(audit.context())}
    named["rows"] = json.dumps(given, allow_nan=False)
    return set(connection.execute(_INSERT, named).scalars())


_INSERT = text("""
WITH given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(:rows) AS given (
        decision_id text, subject_key text, fingerprint text, decided_at timestamptz, outcome text, message_type text,
        campaign_id text, reason text, action_probability double precision, consent_version bigint,
        category text, record jsonb, answer jsonb)
), made AS (
    INSERT INTO decision (
        tenant, decision_id, subject_key, request_fingerprint, decided_at, outcome, channel, variant_id, message_type,
        campaign_id, reason, action_probability, is_holdout, degraded, consent_version, category, record, answer)
    SELECT
        :tenant, decision_id, subject_key, decode(fingerprint, 'hex'), decided_at, outcome, record->>'channel',
        record->>'variant_id', message_type, campaign_id, reason, action_probability,
        CAST(record->>'is_holdout' AS boolean), record->>'degraded', consent_version, category, record, answer
    FROM given ORDER BY decision_id COLLATE "C"
    ON CONFLICT DO NOTHING
    RETURNING decision_id, subject_key, outcome, reason, channel, variant_id, message_type, campaign_id, decided_at
), audited AS (
    INSERT INTO audit (tenant, action, actor, subject_key, object, detail, context)
    SELECT :tenant, 'decision.recorded', :actor, subject_key, 'decision:' || decision_id,
        jsonb_build_object('outcome', outcome, 'reason', reason), CAST(:context AS jsonb)
    FROM made
), hooked AS (
    INSERT INTO hook_delivery (tenant, delivery_id, hook_id, event, data)
    SELECT :tenant, 'msg_' || replace(CAST(gen_random_uuid() AS text), '-', ''), h.hook_id, told.event,
        jsonb_build_object('decision_id', decision_id, 'outcome', outcome, 'reason', reason, 'channel', channel,
            'variant_id', variant_id, 'message_type', message_type, 'campaign_id', campaign_id,
            'decided_at', decided_at)
    FROM made
    JOIN (VALUES ('post_decision', NULL), ('quality_threshold_failed', 'policy.default_variant')) AS told (event, of)
        ON told.of IS NULL OR told.of = made.reason
    JOIN hook h ON h.is_enabled AND jsonb_exists(h.events, told.event)
)
SELECT decision_id FROM made
""")
"""Ids are claimed in order: two batches that hold the same ones then wait for each other, never in a circle."""


def recorded(connection: Connection, decision_ids: Sequence[str]) -> dict[str, Recorded]:
    """Return those of the decisions that were recorded before."""
    if not decision_ids:
        return {}
    locale = decisions.c.record["content"]["locale"].astext
    query = select(
        decisions.c.decision_id,
        decisions.c.request_fingerprint,
        decisions.c.answer,
        decisions.c.decided_at,
        locale.label("locale"),
        decisions.c.record["blocks"].label("blocks"),
    )
    rows = connection.execute(query.where(decisions.c.decision_id.in_(list(decision_ids))))
    return {
        row.decision_id: Recorded(
            bytes(row.request_fingerprint), row.answer, row.locale, row.decided_at, blocks=row.blocks or ()
        )
        for row in rows
    }


def told(row: Row) -> Recorded:
    """Return a row that was just stored as what counts under its id."""
    return replace(kept(row), is_new=True)


def kept(row: Row) -> Recorded:
    """Return a row as it is read back."""
    content = row.record["content"]
    locale = content["locale"] if content else None
    return Recorded(row.fingerprint, row.answer, locale, row.decided_at, blocks=row.record.get("blocks", ()))
