"""Keep the changes of recipients in order of commit, for those who listen."""

from alembic import op

revision = "change_feed"
down_revision = "count_mail"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE recipient_change (
    tenant TEXT NOT NULL,
    change_id BIGINT NOT NULL,
    recipient_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    announced_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, change_id)
);
CREATE INDEX recipient_change_recipient ON recipient_change (tenant, recipient_id, change_id);
CREATE INDEX recipient_change_announced ON recipient_change (tenant, announced_at);
COMMENT ON COLUMN recipient_change.change_id IS 'without a gap, in the order of commit';
COMMENT ON COLUMN recipient_change.recorded_at IS 'when the change was made';

CREATE TABLE change_feed (
    tenant TEXT NOT NULL,
    last_id BIGINT NOT NULL,
    pruned_through BIGINT DEFAULT '0' NOT NULL,
    PRIMARY KEY (tenant)
);
COMMENT ON COLUMN change_feed.pruned_through IS 'nothing up to here is kept';
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("recipient_change", "change_feed"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant_only ON {table} USING (tenant = current_setting('kairos.tenant', true)) "
            "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO kairos_app")
        op.execute(f"GRANT SELECT ON {table} TO kairos_batch")
