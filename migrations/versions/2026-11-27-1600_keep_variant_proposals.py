"""Keep the variants that generators propose until somebody decides about them, and what was decided."""

from alembic import op

revision = "variant_proposals"
down_revision = "content_sources"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE variant_proposal (
    tenant TEXT NOT NULL,
    proposal_id TEXT NOT NULL,
    type TEXT NOT NULL,
    state TEXT NOT NULL,
    variant JSONB NOT NULL,
    errors JSONB NOT NULL,
    proposed_by TEXT NOT NULL,
    proposed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    decided_by TEXT,
    decided_at TIMESTAMP WITH TIME ZONE,
    published_version INTEGER,
    PRIMARY KEY (tenant, proposal_id)
);
CREATE INDEX variant_proposal_type ON variant_proposal (tenant, type, proposed_at, proposal_id);
COMMENT ON COLUMN variant_proposal.errors IS 'what lint found; such a one cannot be approved';
COMMENT ON COLUMN variant_proposal.published_version IS 'the version of the type that it entered';
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE variant_proposal ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE variant_proposal FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON variant_proposal USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON variant_proposal TO kairos_app")
    op.execute("GRANT SELECT ON variant_proposal TO kairos_batch")
