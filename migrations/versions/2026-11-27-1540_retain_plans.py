"""Let plans be forgotten by their age, with their items; the other tables as before."""

from alembic import op

revision = "retain_plans"
down_revision = "shadow_scores"
branch_labels = None
depends_on = None

FORGET = """
CREATE OR REPLACE FUNCTION kairos_forget(place text, before timestamptz, held text[], whose text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    here text := current_setting('kairos.tenant', true);
    latest timestamptz;
    moment text;
    person text;
    forgotten bigint;
BEGIN
    SELECT clock_timestamp() + greatest(t.clock_offset_seconds, 0) * interval '1 second' - interval '1 day'
        INTO latest FROM tenant t WHERE t.tenant = here;
    SELECT m, p INTO moment, person FROM (VALUES
        ('event', 'occurred_at', 'recipient_id'), ('event_key', 'occurred_at', NULL),
        ('decision', 'recorded_at', 'subject_key'), ('decision_contest', 'reviewed_at', 'subject_key'),
        ('dead_letter', 'received_at', 'sealed_for'), ('plan', 'recorded_at', NULL),
        ('job', 'updated_at', NULL)) AS known (t, m, p) WHERE t = place;
    IF moment IS NULL OR latest IS NULL OR before > latest OR (whose IS NOT NULL AND person IS NULL) THEN
        RAISE EXCEPTION 'not to be forgotten' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF place = 'job' THEN
        DELETE FROM job_result r USING job j WHERE r.tenant = here AND j.tenant = here AND j.job_id = r.job_id
            AND j.state IN ('done', 'failed') AND j.updated_at < before;
        DELETE FROM job WHERE tenant = here AND state IN ('done', 'failed') AND updated_at < before;
    ELSIF place = 'plan' THEN
        -- One that is still made stays, whatever its age.
        WITH gone AS (
            DELETE FROM plan p WHERE p.tenant = here AND p.recorded_at < before AND NOT EXISTS (
                SELECT FROM job j WHERE j.tenant = here AND j.job_id = p.job_id AND j.state NOT IN ('done', 'failed'))
            RETURNING p.plan_id), items AS (
            DELETE FROM plan_item i USING gone WHERE i.tenant = here AND i.plan_id = gone.plan_id), pages AS (
            DELETE FROM plan_page s USING gone WHERE s.tenant = here AND s.plan_id = gone.plan_id)
        SELECT count(*) INTO forgotten FROM gone;
        RETURN forgotten;
    ELSIF person IS NULL THEN
        EXECUTE format('DELETE FROM %I WHERE tenant = $1 AND %I < $2', place, moment) USING here, before;
    ELSE
        EXECUTE format('DELETE FROM %I WHERE tenant = $1 AND %I < $2 AND ($4 IS NULL OR %I = $4) '
            'AND NOT (coalesce(%I, '''') = ANY($3))', place, moment, person, person) USING here, before, held, whose;
    END IF;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;
"""


def upgrade() -> None:
    op.execute(FORGET)
