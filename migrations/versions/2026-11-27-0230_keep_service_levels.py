"""Keep what a tenant's service levels stand for, every version."""

from alembic import op

revision = "service_levels"
down_revision = "hooks"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE service_level (
    tenant TEXT NOT NULL,
    level TEXT NOT NULL,
    version INTEGER NOT NULL,
    document JSONB NOT NULL,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, level, version)
);
COMMENT ON COLUMN service_level.version IS 'the newest is in force';
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE service_level ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE service_level FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON service_level USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT ON service_level TO kairos_app")
    op.execute("GRANT SELECT ON service_level TO kairos_batch")
