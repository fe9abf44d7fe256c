"""Let a request keep what a person did without who they were."""

from alembic import op

revision = "anonymize"
down_revision = "objections"
branch_labels = None
depends_on = None

CHANGES = """
ALTER TABLE erasure ADD COLUMN mode TEXT DEFAULT 'erase' NOT NULL;
ALTER TABLE erasure ADD COLUMN anonymous_id TEXT;
COMMENT ON COLUMN erasure.mode IS 'erase, or anonymize';
COMMENT ON COLUMN erasure.anonymous_id IS 'random; whose events they are from now on; null once every place is done';

CREATE FUNCTION kairos_anonymize_events(request text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    whose erasure%ROWTYPE;
    changed bigint;
BEGIN
    SELECT * INTO whose FROM erasure WHERE tenant = current_setting('kairos.tenant', true) AND erasure_id = request
        AND finished_at IS NULL AND recipient_id IS NOT NULL AND anonymous_id IS NOT NULL AND NOT keep ? 'event';
    IF NOT FOUND THEN RAISE EXCEPTION 'no open request' USING ERRCODE = 'insufficient_privilege'; END IF;
    UPDATE event SET recipient_id = whose.anonymous_id, event_id = gen_random_uuid()::text, session_id = NULL,
        decision_id = NULL, properties = '{}', context = NULL, attribution = NULL
        WHERE tenant = whose.tenant AND recipient_id = whose.recipient_id;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;
REVOKE ALL ON FUNCTION kairos_anonymize_events(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kairos_anonymize_events(text) TO kairos_app;
"""


def upgrade() -> None:
    op.execute(CHANGES)
