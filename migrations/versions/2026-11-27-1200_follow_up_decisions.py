"""Follow up decisions: what waits for its moment, what must reach, and contacts that are reserved for either."""

from alembic import op

revision = "follow_ups"
down_revision = "business_rules"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE follow_up (
    tenant TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    root_id TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT DEFAULT 'waiting' NOT NULL,
    message_type TEXT NOT NULL,
    campaign_id TEXT,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    channel TEXT,
    variant_id TEXT,
    remaining JSONB DEFAULT '[]' NOT NULL,
    until TEXT,
    sends INTEGER DEFAULT '0' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    released_at TIMESTAMP WITH TIME ZONE,
    settled_as TEXT,
    settled_at TIMESTAMP WITH TIME ZONE,
    reason TEXT,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, decision_id)
);
CREATE INDEX follow_up_due ON follow_up (tenant, due_at) WHERE state = 'waiting';
CREATE INDEX follow_up_root ON follow_up (tenant, root_id);
CREATE INDEX follow_up_recipient ON follow_up (tenant, recipient_id);
COMMENT ON COLUMN follow_up.decision_id IS 'the decision that left it';
COMMENT ON COLUMN follow_up.root_id IS 'the first decision of the chain';
COMMENT ON COLUMN follow_up.recipient_id IS 'as the decision named them';
COMMENT ON COLUMN follow_up.due_at IS 'the tenant''s clock';
COMMENT ON COLUMN follow_up.expires_at IS 'the tenant''s clock; from then on it is worthless';
COMMENT ON COLUMN follow_up.channel IS 'as it was drawn; null while it is open';
COMMENT ON COLUMN follow_up.remaining IS 'channels that may be tried';
COMMENT ON COLUMN follow_up.until IS 'what counts as reached';
COMMENT ON COLUMN follow_up.sends IS 'before this one, of a chain';
COMMENT ON COLUMN follow_up.attempts IS 'asked for, and had to wait again';
COMMENT ON COLUMN follow_up.released_at IS 'the tenant''s clock: senders were told that it is due';
COMMENT ON COLUMN follow_up.settled_as IS 'the decision that handed it over or stopped it';
COMMENT ON COLUMN follow_up.settled_at IS 'the tenant''s clock';
COMMENT ON COLUMN follow_up.reason IS 'why it was stopped';

ALTER TABLE contact ADD COLUMN reserved_until TIMESTAMP WITH TIME ZONE;
COMMENT ON COLUMN contact.reserved_until IS 'not sent yet, and from then on it counts no more; null when it was sent';
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE follow_up ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE follow_up FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON follow_up USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON follow_up TO kairos_app")
    op.execute("GRANT SELECT ON follow_up TO kairos_batch")
