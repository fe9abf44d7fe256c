"""Budget contacts: a tenant's rules, who was contacted when, and what a window has used up."""

from alembic import op

revision = "contact_budget"
down_revision = "key_roles"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE contact_budget (
    tenant TEXT NOT NULL,
    version INTEGER NOT NULL,
    document JSONB NOT NULL,
    actor TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, version)
);

CREATE TABLE contact (
    tenant TEXT NOT NULL,
    contact_id TEXT NOT NULL,
    subject_key TEXT NOT NULL,
    channel TEXT NOT NULL,
    message_class TEXT,
    category TEXT,
    campaign_id TEXT,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    released_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant, contact_id)
);
CREATE INDEX contact_of_subject ON contact (tenant, subject_key, at);
COMMENT ON COLUMN contact.contact_id IS 'the decision''s id, or source and id of the event';
COMMENT ON COLUMN contact.message_class IS 'null when it was sent elsewhere under a type we do not know';
COMMENT ON COLUMN contact.at IS 'the tenant''s clock';
COMMENT ON COLUMN contact.released_at IS 'it did not get through: it counts no more';

CREATE TABLE contact_use (
    tenant TEXT NOT NULL,
    rule_id TEXT NOT NULL,
    window_start TIMESTAMP WITH TIME ZONE NOT NULL,
    used INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (tenant, rule_id, window_start)
);
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("contact_budget", "contact", "contact_use"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant_only ON {table} USING (tenant = current_setting('kairos.tenant', true)) "
            f"WITH CHECK (tenant = current_setting('kairos.tenant', true))"
        )
        op.execute(f"GRANT SELECT ON {table} TO kairos_batch")
    op.execute("GRANT SELECT, INSERT ON contact_budget TO kairos_app")
    for table in ("contact", "contact_use"):
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO kairos_app")
