"""Keep a data key for each subject, and in the audit trail the values that changed, sealed under it."""

from alembic import op

revision = "subject_keys"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE subject_data_key (
    tenant TEXT NOT NULL,
    subject_key TEXT NOT NULL,
    key_id TEXT NOT NULL,
    wrapped_by TEXT,
    wrapped BYTEA,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    retired_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant, subject_key, key_id)
);
CREATE INDEX subject_data_key_wrapped_by ON subject_data_key (tenant, wrapped_by);
COMMENT ON COLUMN subject_data_key.subject_key IS 'a pseudonym, or * for what belongs to no recipient';
COMMENT ON COLUMN subject_data_key.key_id IS '16 hexadecimal digits, or erased for the tombstone';
COMMENT ON COLUMN subject_data_key.wrapped_by IS 'the id of the key-encryption key; null in a tombstone';
COMMENT ON COLUMN subject_data_key.retired_at IS
    'since then it only opens; what it sealed is being sealed again';

ALTER TABLE audit ADD COLUMN reason TEXT;
ALTER TABLE audit ADD COLUMN values_sealed BYTEA;
ALTER TABLE audit ADD COLUMN context JSONB DEFAULT '{}' NOT NULL;
COMMENT ON COLUMN audit.values_sealed IS 'what was there before and after, under the key of the subject';
COMMENT ON COLUMN audit.context IS 'by which way it came: request id, keyed hashes of address and user agent, law';
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE subject_data_key ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE subject_data_key FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON subject_data_key USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    # Nothing for kairos_batch: what trains a model is read without opening a personal field.
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON subject_data_key TO kairos_app")
