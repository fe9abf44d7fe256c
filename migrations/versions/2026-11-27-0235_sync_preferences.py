"""Keep the edits of preferences that devices send, and what is known of each preference they edited."""

from alembic import op

revision = "preference_sync"
down_revision = "retention"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE preference_edit (
    tenant TEXT NOT NULL,
    edit_id BIGINT GENERATED ALWAYS AS IDENTITY,
    recipient_id TEXT NOT NULL,
    preference_id TEXT NOT NULL,
    device TEXT NOT NULL,
    number INTEGER NOT NULL,
    sealed BYTEA NOT NULL,
    verdict TEXT NOT NULL,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, edit_id)
);
COMMENT ON COLUMN preference_edit.number IS 'the device''s own count of its edits of the preference';
COMMENT ON COLUMN preference_edit.sealed IS 'the whole edit, under the key of the subject';
COMMENT ON COLUMN preference_edit.verdict IS 'what became of it when it arrived';
CREATE UNIQUE INDEX preference_edit_number ON preference_edit (tenant, recipient_id, preference_id, device, number);

CREATE TABLE synced_preference (
    tenant TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    preference_id TEXT NOT NULL,
    by_acts JSONB NOT NULL,
    by_others JSONB NOT NULL,
    edits JSONB NOT NULL,
    version INTEGER NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, recipient_id, preference_id)
);
COMMENT ON COLUMN synced_preference.by_acts IS 'edits that denials and acts knew of, by device';
COMMENT ON COLUMN synced_preference.by_others IS 'edits that the rest knew of, by device';
COMMENT ON COLUMN synced_preference.edits IS 'the edits that neither covers: pairs of device and number';
COMMENT ON COLUMN synced_preference.version IS 'of the preference, as synchronization left it; 0 for none';
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table, changes in (("preference_edit", ""), ("synced_preference", ", UPDATE, DELETE")):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant_only ON {table} USING (tenant = current_setting('kairos.tenant', true)) "
            f"WITH CHECK (tenant = current_setting('kairos.tenant', true))"
        )
        op.execute(f"GRANT SELECT, INSERT{changes} ON {table} TO kairos_app")
        op.execute(f"GRANT SELECT ON {table} TO kairos_batch")
