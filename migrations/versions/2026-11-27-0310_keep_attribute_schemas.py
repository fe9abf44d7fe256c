"""Keep what a tenant says its custom attributes look like, every version."""

from alembic import op

revision = "attribute_schemas"
down_revision = "key_uses"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE attribute_schema (
    tenant TEXT NOT NULL,
    version INTEGER NOT NULL,
    document JSONB NOT NULL,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, version)
);
COMMENT ON COLUMN attribute_schema.version IS 'the newest is in force';
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE attribute_schema ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE attribute_schema FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON attribute_schema USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT ON attribute_schema TO kairos_app")
    op.execute("GRANT SELECT ON attribute_schema TO kairos_batch")
