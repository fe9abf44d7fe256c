"""Keep where each tenant's content system is."""

from alembic import op

revision = "content_sources"
down_revision = "retain_plans"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE content_source (
    tenant TEXT NOT NULL,
    version INTEGER NOT NULL,
    types JSONB NOT NULL,
    sealed BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant)
);
COMMENT ON COLUMN content_source.version IS 'grows with each change';
COMMENT ON COLUMN content_source.types IS 'message types it may be asked about; empty for all';
COMMENT ON COLUMN content_source.sealed IS 'url and key, sealed with the master key';
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE content_source ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE content_source FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON content_source USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON content_source TO kairos_app")
    op.execute("GRANT SELECT ON content_source TO kairos_batch")
