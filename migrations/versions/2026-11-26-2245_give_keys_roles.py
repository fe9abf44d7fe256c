"""Give API keys roles, and note their last day of use and their last refusal."""

from alembic import op

revision = "key_roles"
down_revision = "erasures"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE api_key ADD COLUMN roles JSONB DEFAULT '[]' NOT NULL;
ALTER TABLE api_key ADD COLUMN used_on DATE;
ALTER TABLE api_key ADD COLUMN refused_at TIMESTAMP WITH TIME ZONE;
COMMENT ON COLUMN api_key.used_on IS 'the last UTC day of use';
COMMENT ON COLUMN api_key.refused_at IS 'when a refusal was last written to the trail';
"""

# A function of its own name: a service of the version before goes on with the old one while this is rolled out.
FUNCTION = """
CREATE FUNCTION kairos_find_key(wanted text) RETURNS TABLE (
    tenant text, key_hmac bytea, name text, scopes jsonb, roles jsonb, expires_at timestamptz, revoked_at timestamptz,
    used_on date)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT k.tenant, k.key_hmac, k.name, k.scopes, k.roles, k.expires_at, k.revoked_at, k.used_on
    FROM api_key k WHERE k.prefix = wanted
$$;
REVOKE ALL ON FUNCTION kairos_find_key(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kairos_find_key(text) TO kairos_app;
"""


def upgrade() -> None:
    op.execute(COLUMNS)
    op.execute(FUNCTION)
