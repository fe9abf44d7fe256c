"""Keep what a shadow model says about decisions, as long as the decisions."""

from alembic import op

revision = "shadow_scores"
down_revision = "preference_advice"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE shadow_score (
    tenant TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    champion TEXT NOT NULL,
    subject_key TEXT NOT NULL,
    decided_at TIMESTAMP WITH TIME ZONE NOT NULL,
    p JSONB NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, decision_id, model, version),
    CONSTRAINT shadow_score_decision FOREIGN KEY (tenant, decision_id)
        REFERENCES decision (tenant, decision_id) ON DELETE CASCADE
);
COMMENT ON COLUMN shadow_score.version IS 'of the shadow';
COMMENT ON COLUMN shadow_score.champion IS 'the version that decided';
COMMENT ON COLUMN shadow_score.decided_at IS 'the tenant''s clock';
COMMENT ON COLUMN shadow_score.p IS 'chance of a conversion by channel';
"""

def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE shadow_score ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE shadow_score FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON shadow_score USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT, DELETE ON shadow_score TO kairos_app")
    op.execute("GRANT SELECT ON shadow_score TO kairos_batch")
