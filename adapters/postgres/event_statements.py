"""The SQL of the event log: a whole batch in one document, because forced row-level security refuses COPY FROM.

The document is written by C code on our side and read by C code on the server's; arrays, one for each column, take
twice the time, most of it in psycopg's Python.
"""

from sqlalchemy import text

STORE_NEW = text("""
WITH given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(:rows) AS given (
        source text, event_id text, digest text, type text, name text, channel text, occurred_at timestamptz,
        recipient_id text, session_id text, campaign_id text, message_type text, variant_id text, decision_id text,
        value json, local_hour_of_week smallint, local_date date, properties jsonb, context jsonb, attribution jsonb)
), claimed AS (
    INSERT INTO event_key (tenant, source, event_id, digest, occurred_at)
    SELECT :tenant, source, event_id, decode(digest, 'hex'), occurred_at FROM given
    ORDER BY source COLLATE "C", event_id COLLATE "C"
    ON CONFLICT DO NOTHING
    RETURNING source, event_id
), stored AS (
    INSERT INTO event (
        tenant, received_at, source, event_id, type, name, channel, occurred_at, recipient_id, session_id, campaign_id,
        message_type, variant_id, decision_id, value_minor, currency, category, local_hour_of_week, local_date,
        properties, context, attribution)
    SELECT
        :tenant, CAST(:received_at AS timestamptz), source, event_id, type, name, channel, occurred_at, recipient_id,
        session_id, campaign_id, message_type, variant_id, decision_id, CAST(value->>'minor' AS bigint),
        value->>'currency', properties->>'category', local_hour_of_week, local_date, properties, context, attribution
    FROM given JOIN claimed USING (source, event_id)
    RETURNING source, event_id, recipient_id, type, occurred_at
), queued AS (
    INSERT INTO outbox (tenant, topic, key, payload)
    SELECT :tenant, 'events', recipient_id, to_jsonb(stored) FROM stored
)
SELECT source, event_id FROM claimed
""")
"""Stores the events whose keys nobody had, and returns those keys.

Keys are claimed in order: two batches that hold the same keys then wait for each other, never in a circle.
"""

KNOWN_DIGESTS = text("""
SELECT k.source, k.event_id, k.digest FROM event_key k
JOIN json_to_recordset(:rows) AS asked (source text, event_id text) USING (source, event_id)
""")

ZONES = text("""
SELECT recipient_id, time_zone FROM profile
WHERE recipient_id = ANY(CAST(:recipient_id AS text[])) AND time_zone IS NOT NULL
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

BOOKS = text("SELECT * FROM kairos_books()")

MAKE_PARTITION = text("SELECT kairos_make_event_partition(CAST(:day AS date))")
