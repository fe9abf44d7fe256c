"""Keep the business rules of each tenant, every version."""

from alembic import op

revision = "business_rules"
down_revision = "events_of_decisions"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE business_rules (
    tenant TEXT NOT NULL,
    version INTEGER NOT NULL,
    document JSONB NOT NULL,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, version)
);
COMMENT ON COLUMN business_rules.version IS 'the newest is in force';
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE business_rules ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE business_rules FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON business_rules USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT ON business_rules TO kairos_app")
    op.execute("GRANT SELECT ON business_rules TO kairos_batch")
