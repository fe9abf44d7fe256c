"""Keep requests to erase a person, and let the application erase rows it otherwise may only add to."""

from alembic import op

revision = "erasures"
down_revision = "profile_versions"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE erasure (
    tenant TEXT NOT NULL,
    erasure_id TEXT NOT NULL,
    subject_key TEXT NOT NULL,
    recipient_id TEXT,
    keep JSONB NOT NULL,
    done JSONB DEFAULT '{}' NOT NULL,
    actor TEXT NOT NULL,
    requested_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant, erasure_id)
);
CREATE INDEX erasure_open ON erasure (tenant, requested_at) WHERE finished_at IS NULL;
CREATE INDEX erasure_subject ON erasure (tenant, subject_key);
COMMENT ON COLUMN erasure.recipient_id IS 'until every place is done, then null';
COMMENT ON COLUMN erasure.keep IS 'places left alone, each with the stated ground';
COMMENT ON COLUMN erasure.done IS 'places done, each with its count';

-- Append-only tables stay so for everybody but a person under erasure: the open request is the warrant.
CREATE FUNCTION kairos_erase_rows(request text, place text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    whose erasure%ROWTYPE;
    erased bigint;
BEGIN
    SELECT * INTO whose FROM erasure WHERE tenant = current_setting('kairos.tenant', true)
        AND erasure_id = request AND finished_at IS NULL AND recipient_id IS NOT NULL;
    IF NOT FOUND THEN RAISE EXCEPTION 'no open erasure' USING ERRCODE = 'insufficient_privilege'; END IF;
    IF place IN ('audit', 'audit_link', 'erasure', 'recipient_change', 'subject_data_key', 'tenant', 'api_key') OR whose.keep ? place THEN
        RAISE EXCEPTION 'not to be erased' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (SELECT FROM information_schema.columns WHERE table_schema = 'public' AND table_name = place
            AND column_name = 'recipient_id') THEN
        EXECUTE format('DELETE FROM %I WHERE tenant = $1 AND recipient_id = $2', place)
            USING whose.tenant, whose.recipient_id;
    ELSE
        EXECUTE format('DELETE FROM %I WHERE tenant = $1 AND subject_key = $2', place)
            USING whose.tenant, whose.subject_key;
    END IF;
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END $$;
REVOKE ALL ON FUNCTION kairos_erase_rows(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kairos_erase_rows(text, text) TO kairos_app;

CREATE FUNCTION kairos_erase_dead_letters(request text, letters bigint[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    erased bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM erasure WHERE tenant = current_setting('kairos.tenant', true)
            AND erasure_id = request AND finished_at IS NULL AND NOT keep ? 'dead_letter') THEN
        RAISE EXCEPTION 'no open erasure' USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM dead_letter WHERE tenant = current_setting('kairos.tenant', true) AND dead_letter_id = ANY(letters);
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END $$;
REVOKE ALL ON FUNCTION kairos_erase_dead_letters(text, bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kairos_erase_dead_letters(text, bigint[]) TO kairos_app;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE erasure ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE erasure FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON erasure USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON erasure TO kairos_app")
    op.execute("GRANT SELECT ON erasure TO kairos_batch")
