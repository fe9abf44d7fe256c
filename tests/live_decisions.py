"""Recorded decisions of a model and the conversions that name them, as the service would leave them."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

DECISION = """
INSERT INTO decision (tenant, decision_id, subject_key, request_fingerprint, decided_at, outcome, channel, variant_id,
    message_type, reason, action_probability, is_holdout, consent_version, record, answer)
VALUES (%s, %s, %s, '\\x00', %s, %s, %s, 'a', 'coupon_a', 'policy.send', %s, false, 1, %s, '{}')
"""
CONVERTED = """
INSERT INTO event (tenant, source, event_id, type, occurred_at, received_at, recipient_id, decision_id,
    local_hour_of_week, local_date, properties)
VALUES (%s, 'shop', %s, 'converted', %s, %s, %s, %s, 1, %s, '{}')
"""


def a_record(model: str, version: str, p: float, **more: Any) -> dict[str, Any]:
    """What a decision about one message on e-mail keeps of its model."""
    kept = {
        "model": {"name": model, "version": version, "run_id": "run", "digest": "d", "feature_service": "s"},
        "versions": {"message_type": 1},
        "expected": {"channels": {"email": {"p_convert": p}}},
        "stages": [],
        "overridden": None,
        "send_at": None,
    }
    return kept | more


def put(
    connection: "psycopg.Connection[Any]",
    tenant: str,
    records: Sequence[dict[str, Any]],
    converted: Sequence[bool],
    *,
    first: datetime,
    channel: str | None = "email",
) -> None:
    """Store decisions a minute apart, and half an hour after each the conversion, where there was one."""
    for place, (record, hit) in enumerate(zip(records, converted, strict=True)):
        at = first + timedelta(minutes=place)
        name = f"{record['model']['name']}-{record['model']['version']}-{place}"
        outcome = "send_now" if channel else "do_not_send"
        subject = record.get("subject_key", f"subject-{place}")
        values = (tenant, name, subject, at, outcome, channel, 0.5, Jsonb(record, dumps=json.dumps))
        connection.execute(DECISION, values)
        if hit:
            later = at + timedelta(minutes=30)
            connection.execute(CONVERTED, (tenant, f"by-{name}", later, later, f"r{place}", name, later.date()))
