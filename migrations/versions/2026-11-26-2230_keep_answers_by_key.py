"""Keep what a request with an idempotency key was answered."""

from alembic import op

revision = "idempotency_records"
down_revision = "preferences"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE idempotency_record (
    tenant TEXT NOT NULL,
    principal TEXT NOT NULL,
    route TEXT NOT NULL,
    key_digest BYTEA NOT NULL,
    fingerprint BYTEA NOT NULL,
    status SMALLINT NOT NULL,
    answer BYTEA NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, principal, route, key_digest)
);
CREATE INDEX idempotency_record_age ON idempotency_record (tenant, recorded_at);
COMMENT ON COLUMN idempotency_record.route IS 'method and template, which name no one';
COMMENT ON COLUMN idempotency_record.key_digest IS 'keyed; the sender''s key may say anything';
COMMENT ON COLUMN idempotency_record.fingerprint IS 'keyed digest of address, body and precondition';
COMMENT ON COLUMN idempotency_record.answer IS 'headers and body, sealed for this row';
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("ALTER TABLE idempotency_record ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE idempotency_record FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant_only ON idempotency_record USING (tenant = current_setting('kairos.tenant', true)) "
        "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
    )
    # Nothing for kairos_batch: no number is made of what was answered.
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_record TO kairos_app")
