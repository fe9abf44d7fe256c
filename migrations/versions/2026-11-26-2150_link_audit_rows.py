"""Link the rows of the audit trail into a chain for each tenant."""

from alembic import op

revision = "audit_links"
down_revision = "seal_profiles"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE audit_link (
    tenant TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    audit_id BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    link BYTEA NOT NULL,
    sealed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, sequence)
);
CREATE UNIQUE INDEX audit_link_row ON audit_link (tenant, audit_id);
COMMENT ON COLUMN audit_link.sequence IS 'counts from 1 without a gap';
COMMENT ON COLUMN audit_link.digest IS 'SHA-256 of the row''s canonical JSON';
COMMENT ON COLUMN audit_link.link IS 'SHA-256 of the link before, the sequence and the digest';
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE audit_link ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE audit_link FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON audit_link USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT ON audit_link TO kairos_app")
    op.execute("GRANT SELECT ON audit_link TO kairos_batch")
