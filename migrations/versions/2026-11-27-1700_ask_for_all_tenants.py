"""Let a service ask once which tenants have jobs that wait, and once for everybody's books, not tenant by tenant."""

from alembic import op

revision = "all_tenants"
down_revision = "variant_proposals"
branch_labels = None
depends_on = None

INDEX = "CREATE INDEX job_waits ON job (tenant) WHERE state IN ('queued', 'running')"

# Both tell of tenants what the service may read of each by itself, and nothing of anybody's people.
JOBS = """
CREATE FUNCTION kairos_tenants_with_jobs(kinds text[], moment timestamptz) RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT j.tenant FROM job j
    WHERE j.state IN ('queued', 'running') AND j.kind = ANY(kinds)
        AND (j.leased_until IS NULL OR j.leased_until <= moment)
    ORDER BY j.tenant
$$;
REVOKE ALL ON FUNCTION kairos_tenants_with_jobs(text[], timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kairos_tenants_with_jobs(text[], timestamptz) TO kairos_app;
"""

BOOKS = """
CREATE FUNCTION kairos_books() RETURNS TABLE (
    tenant text, received bigint, stored bigint, duplicate bigint, dead bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.tenant, coalesce(sum(b.received), 0)::bigint, coalesce(sum(b.stored), 0)::bigint,
        coalesce(sum(b.duplicate), 0)::bigint, coalesce(sum(b.dead), 0)::bigint
    FROM tenant t LEFT JOIN ingest_batch b ON b.tenant = t.tenant
    GROUP BY t.tenant ORDER BY t.tenant
$$;
REVOKE ALL ON FUNCTION kairos_books() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kairos_books() TO kairos_app;
"""


def upgrade() -> None:
    for statement in (INDEX, JOBS, BOOKS):
        op.execute(statement)
