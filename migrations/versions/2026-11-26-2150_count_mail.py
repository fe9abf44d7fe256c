"""Count e-mail sent and complained about, for the rule that stops a sender."""

from alembic import op

revision = "count_mail"
down_revision = "audit_links"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE mail_count (
    tenant TEXT NOT NULL,
    day DATE NOT NULL,
    shard SMALLINT NOT NULL,
    sent BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    complained BIGINT NOT NULL,
    PRIMARY KEY (tenant, day, shard)
);
COMMENT ON COLUMN mail_count.day IS 'UTC day of the events';
COMMENT ON COLUMN mail_count.shard IS 'keeps ingest''s transactions from waiting for one row';
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE mail_count ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE mail_count FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON mail_count USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON mail_count TO kairos_app")
    op.execute("GRANT SELECT ON mail_count TO kairos_batch")
