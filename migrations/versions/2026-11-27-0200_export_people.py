"""Keep exports of a person's data, and find one by its link without knowing whose it is."""

from alembic import op

revision = "data_exports"
down_revision = "preference_templates"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE data_export (
    tenant TEXT NOT NULL,
    export_id TEXT NOT NULL,
    subject_key TEXT NOT NULL,
    recipient_id TEXT,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    position JSONB DEFAULT '{}' NOT NULL,
    chunks INTEGER DEFAULT 0 NOT NULL,
    bytes BIGINT DEFAULT 0 NOT NULL,
    records BIGINT DEFAULT 0 NOT NULL,
    file_key BYTEA,
    actor TEXT NOT NULL,
    requested_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    link_digest BYTEA,
    link_expires_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant, export_id)
);
CREATE INDEX data_export_state ON data_export (tenant, state, requested_at);
CREATE INDEX data_export_subject ON data_export (tenant, subject_key);
CREATE UNIQUE INDEX data_export_link ON data_export (link_digest);
COMMENT ON COLUMN data_export.recipient_id IS 'until the file is written or given up, then null';
COMMENT ON COLUMN data_export.position IS 'source and place in it to go on from';
COMMENT ON COLUMN data_export.bytes IS 'of the sealed file, as far as it counts';
COMMENT ON COLUMN data_export.file_key IS 'of the file, sealed under the key of the subject; null with the file gone';
COMMENT ON COLUMN data_export.link_digest IS 'keyed; of the one link that is good';

-- Whoever follows a link has no tenant yet: the digest alone says which.
CREATE FUNCTION kairos_find_export(digest bytea) RETURNS TABLE (tenant text, export_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.tenant, e.export_id FROM data_export e WHERE e.link_digest = digest
$$;
REVOKE ALL ON FUNCTION kairos_find_export(bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kairos_find_export(bytea) TO kairos_app;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE data_export ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE data_export FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON data_export USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON data_export TO kairos_app")
    op.execute("GRANT SELECT ON data_export TO kairos_batch")
