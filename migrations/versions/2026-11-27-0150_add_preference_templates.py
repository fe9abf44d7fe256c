"""Keep preference templates in versions, whom each was applied to and what that replaced, and feedback on them."""

from alembic import op

revision = "preference_templates"
down_revision = "erase_kept_answers"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE preference_template (
    tenant TEXT NOT NULL,
    template_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    document JSONB NOT NULL,
    actor TEXT NOT NULL,
    published_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, template_id, version)
);

CREATE TABLE template_member (
    tenant TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    template_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    held JSONB NOT NULL,
    application_id TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant, recipient_id)
);
CREATE INDEX template_member_template ON template_member (tenant, template_id, version);
COMMENT ON COLUMN template_member.held IS 'positions of the values that are for this recipient';
COMMENT ON COLUMN template_member.since IS 'the tenant''s clock';

CREATE TABLE template_application (
    tenant TEXT NOT NULL,
    application_id TEXT NOT NULL,
    template_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    audience TEXT,
    total INTEGER NOT NULL,
    job_id TEXT,
    actor TEXT NOT NULL,
    applied_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    rollback_job_id TEXT,
    rolled_back_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant, application_id)
);
CREATE INDEX template_application_template ON template_application (tenant, template_id, version);
COMMENT ON COLUMN template_application.total IS 'recipients it was asked for';
COMMENT ON COLUMN template_application.job_id IS 'null when it was done at once';

CREATE TABLE template_change (
    tenant TEXT NOT NULL,
    application_id TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    before JSONB,
    PRIMARY KEY (tenant, application_id, recipient_id)
);
CREATE INDEX template_change_recipient ON template_change (tenant, recipient_id);
COMMENT ON COLUMN template_change.before IS 'the membership that the application replaced; null for none';

CREATE TABLE template_feedback (
    tenant TEXT NOT NULL,
    feedback_id BIGINT GENERATED ALWAYS AS IDENTITY,
    template_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    rating SMALLINT NOT NULL,
    comment BYTEA,
    comment_id TEXT,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, feedback_id)
);
CREATE INDEX template_feedback_template ON template_feedback (tenant, template_id, version);
COMMENT ON COLUMN template_feedback.rating IS '1 to 5';
COMMENT ON COLUMN template_feedback.comment IS 'sealed for the tenant: nobody knows what people write there';
COMMENT ON COLUMN template_feedback.comment_id IS 'what the comment is sealed for';
"""

CHANGEABLE = ("template_member", "template_application", "template_change")
APPEND_ONLY = ("preference_template", "template_feedback")


def upgrade() -> None:
    op.execute(TABLES)
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
