"""Keep each tenant's volume targets, every version, and the prices that steer towards them."""

from alembic import op

revision = "volume_pacing"
down_revision = "brand_rules"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE volume_targets (
    tenant TEXT NOT NULL,
    version INTEGER NOT NULL,
    document JSONB NOT NULL,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, version)
);
COMMENT ON COLUMN volume_targets.version IS 'the newest is in force';

CREATE TABLE channel_price (
    tenant TEXT NOT NULL,
    scope TEXT NOT NULL,
    version INTEGER NOT NULL,
    price DOUBLE PRECISION NOT NULL,
    scale DOUBLE PRECISION NOT NULL,
    error DOUBLE PRECISION NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    counted_until TIMESTAMP WITH TIME ZONE NOT NULL,
    sent BIGINT NOT NULL,
    planned DOUBLE PRECISION NOT NULL,
    sent_day BIGINT NOT NULL,
    sent_week BIGINT NOT NULL,
    hours DOUBLE PRECISION[] NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, scope, version)
);
COMMENT ON COLUMN channel_price.scope IS 'a channel, or tenant for everything';
COMMENT ON COLUMN channel_price.version IS 'the newest is in force; older ones are kept for a while';
COMMENT ON COLUMN channel_price.price IS 'of one message, in conversions, at least 0';
COMMENT ON COLUMN channel_price.scale IS 'one unit of relative error of volume, in conversions';
COMMENT ON COLUMN channel_price.error IS 'relative, of the step that ended';
COMMENT ON COLUMN channel_price.at IS 'the tenant''s clock, up to which the plan was compared';
COMMENT ON COLUMN channel_price.counted_until IS 'decisions recorded up to then are counted';
COMMENT ON COLUMN channel_price.sent IS 'messages in the step';
COMMENT ON COLUMN channel_price.planned IS 'messages the step should have had';
COMMENT ON COLUMN channel_price.sent_day IS 'messages since the day began';
COMMENT ON COLUMN channel_price.sent_week IS 'messages since the week began';
COMMENT ON COLUMN channel_price.hours IS 'decisions by local hour, with the past fading';
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("volume_targets", "channel_price"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant_only ON {table} USING (tenant = current_setting('kairos.tenant', true)) "
            "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
        )
        op.execute(f"GRANT SELECT ON {table} TO kairos_batch")
    op.execute("GRANT SELECT, INSERT ON volume_targets TO kairos_app")
    op.execute("GRANT SELECT, INSERT, DELETE ON channel_price TO kairos_app")
