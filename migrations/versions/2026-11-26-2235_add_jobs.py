"""Keep jobs: long work that was asked for, how far it is, and the verdict on each item."""

from alembic import op

revision = "jobs"
down_revision = "idempotency_records"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE job (
    tenant TEXT NOT NULL,
    job_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    total INTEGER NOT NULL,
    position INTEGER DEFAULT '0' NOT NULL,
    payload BYTEA,
    actor TEXT NOT NULL,
    problem TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    leased_until TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant, job_id)
);
CREATE INDEX job_open ON job (tenant, state, created_at);
COMMENT ON COLUMN job.position IS 'items that are done';
COMMENT ON COLUMN job.payload IS 'what was asked for, sealed; null once the job has ended';
COMMENT ON COLUMN job.problem IS 'why it failed, naming nobody';
COMMENT ON COLUMN job.leased_until IS 'until then nobody else works on it; real time';

CREATE TABLE job_result (
    tenant TEXT NOT NULL,
    job_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    detail JSONB DEFAULT '{}' NOT NULL,
    PRIMARY KEY (tenant, job_id, position)
);
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("job", "job_result"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant_only ON {table} USING (tenant = current_setting('kairos.tenant', true)) "
            f"WITH CHECK (tenant = current_setting('kairos.tenant', true))"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO kairos_app")
        op.execute(f"GRANT SELECT ON {table} TO kairos_batch")
