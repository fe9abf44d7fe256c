"""Create every table of the main job, with row-level security forced on each."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE api_key (
    tenant TEXT NOT NULL,
    prefix TEXT NOT NULL,
    key_hmac BYTEA NOT NULL,
    name TEXT NOT NULL,
    scopes JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant, prefix)
);

CREATE TABLE audit (
    tenant TEXT NOT NULL,
    audit_id BIGINT GENERATED ALWAYS AS IDENTITY,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    subject_key TEXT,
    object TEXT NOT NULL,
    detail JSONB DEFAULT '{}' NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, audit_id)
);
CREATE INDEX audit_subject ON audit (tenant, subject_key, audit_id);

CREATE TABLE channel_switch (
    tenant TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    is_on BOOLEAN NOT NULL,
    source TEXT NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, recipient_id, channel)
);

CREATE TABLE consent_head (
    tenant TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (tenant, recipient_id)
);
COMMENT ON COLUMN consent_head.version IS 'counts every change of what the recipient allows';

CREATE TABLE consent_record (
    tenant TEXT NOT NULL,
    record_id BIGINT GENERATED ALWAYS AS IDENTITY,
    recipient_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    channel TEXT NOT NULL,
    status TEXT NOT NULL,
    legal_basis TEXT NOT NULL,
    effective_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    source TEXT NOT NULL,
    actor TEXT NOT NULL,
    text_version TEXT,
    proof JSONB DEFAULT '{}' NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, record_id)
);
CREATE INDEX consent_record_recipient ON consent_record (tenant, recipient_id, record_id);

CREATE TABLE consent_state (
    tenant TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    channel TEXT NOT NULL,
    status TEXT NOT NULL,
    effective_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    record_id BIGINT NOT NULL,
    PRIMARY KEY (tenant, recipient_id, purpose, channel)
);

CREATE TABLE dead_letter (
    tenant TEXT NOT NULL,
    dead_letter_id BIGINT GENERATED ALWAYS AS IDENTITY,
    origin TEXT NOT NULL,
    position BIGINT NOT NULL,
    reason TEXT NOT NULL,
    field TEXT,
    expected TEXT NOT NULL,
    raw BYTEA NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant, dead_letter_id)
);
CREATE INDEX dead_letter_received ON dead_letter (tenant, received_at);
COMMENT ON COLUMN dead_letter.origin IS 'api, or the name of the file with the line';

CREATE TABLE decision (
    tenant TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    subject_key TEXT NOT NULL,
    request_fingerprint BYTEA NOT NULL,
    decided_at TIMESTAMP WITH TIME ZONE NOT NULL,
    outcome TEXT NOT NULL,
    channel TEXT,
    variant_id TEXT,
    message_type TEXT NOT NULL,
    campaign_id TEXT,
    reason TEXT NOT NULL,
    action_probability DOUBLE PRECISION NOT NULL,
    is_holdout BOOLEAN NOT NULL,
    degraded TEXT,
    consent_version BIGINT NOT NULL,
    record JSONB NOT NULL,
    answer JSONB NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, decision_id)
);
CREATE INDEX decision_recorded ON decision (tenant, recorded_at);
CREATE INDEX decision_subject ON decision (tenant, subject_key, decided_at);
COMMENT ON COLUMN decision.decided_at IS 'the tenant''s clock';
COMMENT ON COLUMN decision.record IS 'everything the decision knew, enough to repeat it';
COMMENT ON COLUMN decision.answer IS 'what the caller was told, for a repeat of the same key';

CREATE TABLE event (
    tenant TEXT NOT NULL,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    name TEXT,
    channel TEXT,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL,
    recipient_id TEXT NOT NULL,
    session_id TEXT,
    campaign_id TEXT,
    message_type TEXT,
    variant_id TEXT,
    decision_id TEXT,
    value_minor BIGINT,
    currency TEXT,
    category TEXT,
    local_hour_of_week SMALLINT NOT NULL,
    local_date DATE NOT NULL,
    properties JSONB NOT NULL,
    context JSONB,
    attribution JSONB,
    PRIMARY KEY (tenant, source, event_id, occurred_at)
)
 PARTITION BY RANGE (occurred_at);
CREATE INDEX event_received ON event (tenant, received_at);
CREATE INDEX event_recipient ON event (tenant, recipient_id, occurred_at);
COMMENT ON COLUMN event.occurred_at IS 'the partition column, by UTC day';
COMMENT ON COLUMN event.local_hour_of_week IS '0 is Monday 00:00 where the recipient is';

CREATE TABLE event_key (
    tenant TEXT NOT NULL,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    digest BYTEA NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (tenant, source, event_id)
);

CREATE TABLE ingest_batch (
    tenant TEXT NOT NULL,
    batch_id BIGINT GENERATED ALWAYS AS IDENTITY,
    origin TEXT NOT NULL,
    received INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    duplicate INTEGER NOT NULL,
    dead INTEGER NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, batch_id)
);

CREATE TABLE message_type (
    tenant TEXT NOT NULL,
    type TEXT NOT NULL,
    version INTEGER NOT NULL,
    digest BYTEA NOT NULL,
    document JSONB NOT NULL,
    published_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, type, version)
);

CREATE TABLE outbox (
    tenant TEXT NOT NULL,
    outbox_id BIGINT GENERATED ALWAYS AS IDENTITY,
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    payload JSONB NOT NULL,
    published_epoch TEXT,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant, outbox_id)
);
CREATE INDEX outbox_waiting ON outbox (tenant, topic, outbox_id);
COMMENT ON COLUMN outbox.key IS 'what the message is about; for events the recipient';
COMMENT ON COLUMN outbox.published_epoch IS 'the stream that carries it; another epoch publishes it again';

CREATE TABLE profile (
    tenant TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    locale TEXT,
    country TEXT,
    time_zone TEXT,
    time_zone_source TEXT,
    time_zone_confidence DOUBLE PRECISION,
    reachability JSONB DEFAULT '{}' NOT NULL,
    attributes JSONB DEFAULT '{}' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (tenant, recipient_id)
);

CREATE TABLE suppression (
    tenant TEXT NOT NULL,
    recipient_id TEXT NOT NULL,
    channel TEXT NOT NULL,
    reason TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (tenant, recipient_id, channel)
);

CREATE TABLE tenant (
    tenant TEXT NOT NULL,
    display_name TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    is_sandbox BOOLEAN NOT NULL,
    clock_offset_seconds DOUBLE PRECISION DEFAULT '0' NOT NULL,
    subject_secret BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (tenant)
);
COMMENT ON COLUMN tenant.subject_secret IS 'sealed with the master key';

"""

TENANT_TABLES = ('api_key', 'audit', 'channel_switch', 'consent_head', 'consent_record', 'consent_state', 'dead_letter', 'decision', 'event', 'event_key', 'ingest_batch', 'message_type', 'outbox', 'profile', 'suppression', 'tenant')

APPEND_ONLY = ('consent_record', 'decision', 'audit', 'event_key', 'ingest_batch', 'message_type', 'dead_letter')

FUNCTIONS = """
-- A key is looked up before its tenant is known, so its prefix is unique over all tenants.
CREATE UNIQUE INDEX api_key_prefix ON api_key (prefix);

CREATE FUNCTION kairos_make_event_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    partition text := 'event_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF to_regclass(partition) IS NOT NULL THEN RETURN; END IF;
    -- A lock on the table, not an advisory one: only this makes the catalogue be read again after the wait.
    -- It lets ingest go on and is the one that attaching takes.
    LOCK TABLE event IN SHARE UPDATE EXCLUSIVE MODE;
    IF to_regclass(partition) IS NOT NULL THEN RETURN; END IF;
    -- Attaching takes a weaker lock than creating in place, so that ingest under way is not stopped.
    EXECUTE format('CREATE TABLE %I (LIKE event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition);
    EXECUTE format('ALTER TABLE event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition,
        day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
END $$;
REVOKE ALL ON FUNCTION kairos_make_event_partition(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kairos_make_event_partition(date) TO kairos_app;

CREATE FUNCTION kairos_find_api_key(wanted text) RETURNS TABLE (
    tenant text, key_hmac bytea, name text, scopes jsonb, expires_at timestamptz, revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT k.tenant, k.key_hmac, k.name, k.scopes, k.expires_at, k.revoked_at FROM api_key k WHERE k.prefix = wanted
$$;
REVOKE ALL ON FUNCTION kairos_find_api_key(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kairos_find_api_key(text) TO kairos_app;

CREATE FUNCTION kairos_tenant_names() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT tenant FROM tenant ORDER BY tenant
$$;
REVOKE ALL ON FUNCTION kairos_tenant_names() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kairos_tenant_names() TO kairos_app;
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in TENANT_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant_only ON {table} USING (tenant = current_setting('kairos.tenant', true)) "
            f"WITH CHECK (tenant = current_setting('kairos.tenant', true))"
        )
        changes = "" if table in APPEND_ONLY else ", UPDATE, DELETE"
        op.execute(f"GRANT SELECT, INSERT{changes} ON {table} TO kairos_app")
        op.execute(f"GRANT SELECT ON {table} TO kairos_batch")
    op.execute(FUNCTIONS)
