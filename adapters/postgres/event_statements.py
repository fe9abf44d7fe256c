"""The SQL of the event log: whole batches as arrays, because forced row-level security refuses COPY FROM."""

from sqlalchemy import text

CLAIM_KEYS = text("""
INSERT INTO event_key (tenant, source, event_id, digest, occurred_at)
SELECT :tenant, * FROM unnest(
    CAST(:source AS text[]), CAST(:event_id AS text[]), CAST(:digest AS bytea[]), CAST(:occurred_at AS timestamptz[]))
ON CONFLICT DO NOTHING
RETURNING source, event_id
""")
"""Rows must come sorted by key: two batches that hold the same keys then wait for each other, never in a circle."""

KNOWN_DIGESTS = text("""
SELECT k.source, k.event_id, k.digest FROM event_key k
JOIN unnest(CAST(:source AS text[]), CAST(:event_id AS text[])) AS asked (source, event_id) USING (source, event_id)
""")

ZONES = text("""
SELECT recipient_id, time_zone FROM profile
WHERE recipient_id = ANY(CAST(:recipient_id AS text[])) AND time_zone IS NOT NULL
""")

_EVENT_TYPES = {
    "source": "text",
    "event_id": "text",
    "type": "text",
    "name": "text",
    "channel": "text",
    "occurred_at": "timestamptz",
    "recipient_id": "text",
    "session_id": "text",
    "campaign_id": "text",
    "message_type": "text",
    "variant_id": "text",
    "decision_id": "text",
    "value_minor": "bigint",
    "currency": "text",
    "category": "text",
    "local_hour_of_week": "smallint",
    "local_date": "date",
    "properties": "jsonb",
    "context": "jsonb",
    "attribution": "jsonb",
}
EVENT_ARRAYS = tuple(_EVENT_TYPES)
"""Parameters of ``STORE_EVENTS``, one list each; documents as JSON text."""

STORE_EVENTS = text(f"""
WITH stored AS (
    INSERT INTO event (tenant, received_at, {", ".join(EVENT_ARRAYS)})
    SELECT :tenant, CAST(:received_at AS timestamptz), given.* FROM unnest(
        {", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _EVENT_TYPES.items())}) AS given
    RETURNING source, event_id, recipient_id, type, occurred_at
)
INSERT INTO outbox (tenant, topic, key, payload)
SELECT :tenant, 'events', recipient_id, to_jsonb(stored) FROM stored
""")

COUNT_BATCH = text("""
INSERT INTO ingest_batch (tenant, origin, received, stored, duplicate, dead)
VALUES (:tenant, :origin, :received, :stored, :duplicate, :dead)
""")

TOTALS = text("""
SELECT coalesce(sum(received), 0) AS received, coalesce(sum(stored), 0) AS stored,
       coalesce(sum(duplicate), 0) AS duplicate, coalesce(sum(dead), 0) AS dead
FROM ingest_batch
""")

MAKE_PARTITION = text("SELECT kairos_make_event_partition(CAST(:day AS date))")
