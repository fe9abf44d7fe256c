"""Keep the brand rules of each tenant, every version."""

from alembic import op

revision = "brand_rules"
down_revision = "plans"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE brand_rules (
    tenant TEXT NOT NULL,
    version INTEGER NOT NULL,
    document JSONB NOT NULL,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, version)
);
COMMENT ON COLUMN brand_rules.version IS 'the newest is in force';
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE brand_rules ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE brand_rules FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON brand_rules USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT ON brand_rules TO kairos_app")
    op.execute("GRANT SELECT ON brand_rules TO kairos_batch")
