"""Keep periods of retention, which only get shorter, and forget what is older, append-only tables included."""

from alembic import op

revision = "retention"
down_revision = "service_levels"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE retention_period (
    tenant TEXT NOT NULL,
    place TEXT NOT NULL,
    days INTEGER NOT NULL,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, place)
);
CREATE TABLE recipient_retention (
    tenant TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    days INTEGER NOT NULL,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, recipient_id)
);

-- What is older than a day, and not of those who are held, may go; nothing younger, whoever asks.
CREATE FUNCTION kairos_forget(place text, before timestamptz, held text[], whose text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    here text := current_setting('kairos.tenant', true);
    latest timestamptz;
    moment text;
    person text;
    forgotten bigint;
BEGIN
    SELECT clock_timestamp() + greatest(t.clock_offset_seconds, 0) * interval '1 second' - interval '1 day'
        INTO latest FROM tenant t WHERE t.tenant = here;
    SELECT m, p INTO moment, person FROM (VALUES
        ('event', 'occurred_at', 'recipient_id'), ('event_key', 'occurred_at', NULL),
        ('decision', 'recorded_at', 'subject_key'), ('decision_contest', 'reviewed_at', 'subject_key'),
        ('dead_letter', 'received_at', 'sealed_for'), ('job', 'updated_at', NULL)) AS known (t, m, p) WHERE t = place;
    IF moment IS NULL OR latest IS NULL OR before > latest OR (whose IS NOT NULL AND person IS NULL) THEN
        RAISE EXCEPTION 'not to be forgotten' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF place = 'job' THEN
        DELETE FROM job_result r USING job j WHERE r.tenant = here AND j.tenant = here AND j.job_id = r.job_id
            AND j.state IN ('done', 'failed') AND j.updated_at < before;
        DELETE FROM job WHERE tenant = here AND state IN ('done', 'failed') AND updated_at < before;
    ELSIF person IS NULL THEN
        EXECUTE format('DELETE FROM %I WHERE tenant = $1 AND %I < $2', place, moment) USING here, before;
    ELSE
        EXECUTE format('DELETE FROM %I WHERE tenant = $1 AND %I < $2 AND ($4 IS NULL OR %I = $4) '
            'AND NOT (coalesce(%I, '''') = ANY($3))', place, moment, person, person) USING here, before, held, whose;
    END IF;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;
REVOKE ALL ON FUNCTION kairos_forget(text, timestamptz, text[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kairos_forget(text, timestamptz, text[], text) TO kairos_app;
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("retention_period", "recipient_retention"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant_only ON {table} USING (tenant = current_setting('kairos.tenant', true)) "
            "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO kairos_app")
        op.execute(f"GRANT SELECT ON {table} TO kairos_batch")
