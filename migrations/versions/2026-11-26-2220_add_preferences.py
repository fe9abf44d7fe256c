"""Keep what recipients prefer, every version of it, and each tenant's defaults; let a decision say its category."""

from alembic import op

revision = "preferences"
down_revision = "seal_proofs"
branch_labels = None
depends_on = None

CHANGES = """
CREATE TABLE preference (
    tenant TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    preference_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    document JSONB NOT NULL,
    sealed BYTEA,
    field_versions JSONB DEFAULT '{}' NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant, recipient_id, preference_id)
);
COMMENT ON COLUMN preference.preference_id IS 'the name of its scope';
COMMENT ON COLUMN preference.document IS 'without circumstances and custom settings';
COMMENT ON COLUMN preference.sealed IS 'circumstances and custom settings, under the key of the subject';
COMMENT ON COLUMN preference.field_versions IS 'which device said what, and when';

CREATE TABLE preference_version (
    tenant TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    preference_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    sealed BYTEA NOT NULL,
    is_deleted BOOLEAN NOT NULL,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, recipient_id, preference_id, version)
);
COMMENT ON COLUMN preference_version.sealed IS 'the whole document, under the key of the subject';

CREATE TABLE preference_policy (
    tenant TEXT NOT NULL,
    version INTEGER NOT NULL,
    document JSONB NOT NULL,
    actor TEXT NOT NULL,
    published_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, version)
);

ALTER TABLE decision ADD COLUMN category TEXT;
COMMENT ON COLUMN decision.category IS 'of the message type; null before preferences existed';
"""

CHANGEABLE = ("preference",)
APPEND_ONLY = ("preference_version", "preference_policy")


def upgrade() -> None:
    op.execute(CHANGES)
    for table in (*CHANGEABLE, *APPEND_ONLY):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant_only ON {table} USING (tenant = current_setting('kairos.tenant', true)) "
            f"WITH CHECK (tenant = current_setting('kairos.tenant', true))"
        )
        changes = "" if table in APPEND_ONLY else ", UPDATE, DELETE"
        op.execute(f"GRANT SELECT, INSERT{changes} ON {table} TO kairos_app")
        op.execute(f"GRANT SELECT ON {table} TO kairos_batch")
