"""Keep webhooks, what waits for each, and every attempt to deliver."""

from alembic import op

revision = "hooks"
down_revision = "anonymize"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE hook (
    tenant TEXT NOT NULL,
    hook_id TEXT NOT NULL,
    events JSONB NOT NULL,
    description TEXT NOT NULL,
    sealed BYTEA NOT NULL,
    is_enabled BOOLEAN DEFAULT 'true' NOT NULL,
    disabled_because TEXT,
    failures INTEGER DEFAULT '0' NOT NULL,
    failing_since TIMESTAMP WITH TIME ZONE,
    rest_until TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, hook_id)
);
COMMENT ON COLUMN hook.sealed IS 'url and secrets, sealed with the master key';
COMMENT ON COLUMN hook.disabled_because IS 'set when we switched it off';
COMMENT ON COLUMN hook.failures IS 'in a row';
COMMENT ON COLUMN hook.rest_until IS 'nothing is sent before; real time';

CREATE TABLE hook_delivery (
    tenant TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    hook_id TEXT NOT NULL,
    event TEXT NOT NULL,
    recipient_id TEXT,
    data JSONB NOT NULL,
    state TEXT DEFAULT 'waiting' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant, delivery_id)
);
CREATE INDEX hook_delivery_waiting ON hook_delivery (tenant, hook_id, due_at) WHERE state = 'waiting';
CREATE INDEX hook_delivery_hook ON hook_delivery (tenant, hook_id, recorded_at);
CREATE INDEX hook_delivery_recipient ON hook_delivery (tenant, recipient_id);
COMMENT ON COLUMN hook_delivery.recipient_id IS 'whom it names, so that it goes when they are erased';

CREATE TABLE hook_attempt (
    tenant TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    status INTEGER,
    problem TEXT,
    milliseconds INTEGER NOT NULL,
    PRIMARY KEY (tenant, delivery_id, attempt)
);
COMMENT ON COLUMN hook_attempt.status IS 'null when there was no answer';
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("hook", "hook_delivery", "hook_attempt"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant_only ON {table} USING (tenant = current_setting('kairos.tenant', true)) "
            "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO kairos_app")
        op.execute(f"GRANT SELECT ON {table} TO kairos_batch")
