"""Keep what recipients said to advice on their preferences."""

from alembic import op

revision = "preference_advice"
down_revision = "digests"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE preference_advice_answer (
    tenant TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    recommendation_id TEXT NOT NULL,
    act TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, recipient_id, recommendation_id)
);
COMMENT ON COLUMN preference_advice_answer.recommendation_id IS 'of what was suggested; names nobody';
COMMENT ON COLUMN preference_advice_answer.act IS 'accepted or dismissed';
COMMENT ON COLUMN preference_advice_answer.at IS 'the tenant''s clock';
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE preference_advice_answer ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE preference_advice_answer FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON preference_advice_answer USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON preference_advice_answer TO kairos_app")
    op.execute("GRANT SELECT ON preference_advice_answer TO kairos_batch")
