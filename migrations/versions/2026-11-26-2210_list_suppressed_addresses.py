"""Keep the hashes of recipients' addresses, and those that may not be written to."""

from alembic import op

revision = "suppressed_addresses"
down_revision = "jobs"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE recipient_address (
    tenant TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    address_hash BYTEA NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, recipient_id, channel)
);
CREATE INDEX recipient_address_hash ON recipient_address (tenant, address_hash);
COMMENT ON COLUMN recipient_address.address_hash IS 'keyed with the tenant''s secret';

CREATE TABLE suppressed_address (
    tenant TEXT NOT NULL,
    channel TEXT NOT NULL,
    address_hash BYTEA NOT NULL,
    reason TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    source TEXT NOT NULL,
    actor TEXT NOT NULL,
    PRIMARY KEY (tenant, channel, address_hash)
);
COMMENT ON COLUMN suppressed_address.address_hash IS 'stays when the recipient is erased';
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("recipient_address", "suppressed_address"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant_only ON {table} USING (tenant = current_setting('kairos.tenant', true)) "
            f"WITH CHECK (tenant = current_setting('kairos.tenant', true))"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO kairos_app")
        op.execute(f"GRANT SELECT ON {table} TO kairos_batch")
