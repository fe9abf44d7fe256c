"""Keep every version of a profile; what a profile says now is its first kept version."""

from alembic import op

revision = "profile_versions"
down_revision = "suppressed_addresses"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE profile_version (
    tenant TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    document BYTEA,
    unsealed JSONB,
    actor TEXT NOT NULL,
    reason TEXT,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, recipient_id, version)
);
COMMENT ON COLUMN profile_version.document IS
    'the sealed document the profile had in this version, byte for byte';
COMMENT ON COLUMN profile_version.unsealed IS 'a profile from before documents were sealed';
INSERT INTO profile_version (tenant, recipient_id, version, document, unsealed, actor, recorded_at)
SELECT tenant, recipient_id, version, document, unsealed, 'upgrade', updated_at FROM profile WHERE deleted_at IS NULL;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE profile_version ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE profile_version FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON profile_version USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON profile_version TO kairos_app")
    op.execute("GRANT SELECT ON profile_version TO kairos_batch")
