"""Keep plans: what they came to, who is in one while it is made, and their items."""

from alembic import op

revision = "plans"
down_revision = "variant_beliefs"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE plan (
    tenant TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    summary JSONB,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, plan_id)
);
COMMENT ON COLUMN plan.summary IS 'null until the audience was optimised';

CREATE TABLE plan_page (
    tenant TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    page INTEGER NOT NULL,
    people BYTEA NOT NULL,
    PRIMARY KEY (tenant, plan_id, page)
);
COMMENT ON COLUMN plan_page.people IS 'who, and worth of options; sealed, goes at the end';

CREATE TABLE plan_item (
    tenant TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    page INTEGER NOT NULL,
    place INTEGER NOT NULL,
    channel TEXT NOT NULL,
    slot INTEGER NOT NULL,
    starts TIMESTAMP WITH TIME ZONE NOT NULL,
    worth DOUBLE PRECISION NOT NULL,
    decision_id TEXT,
    outcome TEXT,
    reason TEXT,
    action_probability DOUBLE PRECISION,
    problem TEXT,
    PRIMARY KEY (tenant, plan_id, position)
);
COMMENT ON COLUMN plan_item.place IS 'of the recipient, in the page';
COMMENT ON COLUMN plan_item.starts IS 'the tenant''s clock';
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("plan", "plan_page", "plan_item"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant_only ON {table} USING (tenant = current_setting('kairos.tenant', true)) "
            f"WITH CHECK (tenant = current_setting('kairos.tenant', true))"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO kairos_app")
        op.execute(f"GRANT SELECT ON {table} TO kairos_batch")
