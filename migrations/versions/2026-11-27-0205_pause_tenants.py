"""Keep pauses: what operators stopped, and why."""

from alembic import op

revision = "pauses"
down_revision = "data_exports"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE pause (
    tenant TEXT NOT NULL,
    channel TEXT NOT NULL,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, channel)
);
COMMENT ON COLUMN pause.channel IS '* is the whole tenant';
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE pause ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE pause FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON pause USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON pause TO kairos_app")
    op.execute("GRANT SELECT ON pause TO kairos_batch")
