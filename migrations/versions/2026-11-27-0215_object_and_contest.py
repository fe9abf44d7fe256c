"""Keep objections, which the application may add and never take back, and decisions that people contest."""

from alembic import op

revision = "objections"
down_revision = "consent_address"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE objection (
    tenant TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    against TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    source TEXT NOT NULL,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, recipient_id, against)
);
COMMENT ON COLUMN objection.against IS 'marketing or profiling';
CREATE TABLE decision_contest (
    tenant TEXT NOT NULL,
    contest_id TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    subject_key TEXT NOT NULL,
    statement BYTEA NOT NULL,
    source TEXT NOT NULL,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    reviewed_at TIMESTAMP WITH TIME ZONE,
    reviewer TEXT,
    verdict TEXT,
    answer BYTEA,
    PRIMARY KEY (tenant, contest_id)
);
CREATE INDEX decision_contest_decision ON decision_contest (tenant, decision_id);
CREATE INDEX decision_contest_subject ON decision_contest (tenant, subject_key);
COMMENT ON COLUMN decision_contest.statement IS 'what the person says, under the key of the subject';
COMMENT ON COLUMN decision_contest.verdict IS 'upheld or overturned, by a human';
COMMENT ON COLUMN decision_contest.answer IS 'what the person is told, under the key of the subject';
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table, rights in (("objection", "SELECT, INSERT"), ("decision_contest", "SELECT, INSERT, UPDATE")):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant_only ON {table} USING (tenant = current_setting('kairos.tenant', true)) "
            "WITH CHECK (tenant = current_setting('kairos.tenant', true))"
        )
        op.execute(f"GRANT {rights} ON {table} TO kairos_app")
        op.execute(f"GRANT SELECT ON {table} TO kairos_batch")
