"""Keep what is believed of each message type's variants, and of each contact which variant was seen."""

from alembic import op

revision = "variant_beliefs"
down_revision = "follow_ups"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE contact ADD COLUMN message_type TEXT;
ALTER TABLE contact ADD COLUMN variant_id TEXT;
CREATE INDEX decision_sent ON decision (tenant, message_type, decided_at) WHERE outcome = 'send_now';
COMMENT ON COLUMN contact.variant_id IS 'what was seen, for the policies over variants';

CREATE TABLE variant_belief (
    tenant TEXT NOT NULL,
    message_type TEXT NOT NULL,
    version INTEGER NOT NULL,
    learned_until TIMESTAMP WITH TIME ZONE NOT NULL,
    learned_rows BIGINT NOT NULL,
    body BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, message_type, version)
);
COMMENT ON COLUMN variant_belief.version IS 'the newest is in force; a few older ones are kept';
COMMENT ON COLUMN variant_belief.learned_until IS 'decisions up to this moment of the tenant''s clock were learnt from';
COMMENT ON COLUMN variant_belief.learned_rows IS 'outcomes learnt from so far';
COMMENT ON COLUMN variant_belief.body IS 'numbers only, of nobody in particular';
COMMENT ON COLUMN variant_belief.digest IS 'SHA-256 of the body';
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE variant_belief ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE variant_belief FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON variant_belief USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT, DELETE ON variant_belief TO kairos_app")
    op.execute("GRANT SELECT ON variant_belief TO kairos_batch")
