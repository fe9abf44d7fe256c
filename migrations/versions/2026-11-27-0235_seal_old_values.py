"""Let what was stored before it was sealed be sealed now, once, in tables that nobody may change otherwise."""

from alembic import op

revision = "late_sealing"
down_revision = "preference_sync"
branch_labels = None
depends_on = None

# The application may change neither table; these change nothing but a value that lies in clear.
FUNCTIONS = """
CREATE FUNCTION kairos_seal_proof(wanted bigint, sealed bytea) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH done AS (
        UPDATE consent_record SET proof = '{}', proof_sealed = sealed
        WHERE tenant = current_setting('kairos.tenant') AND record_id = wanted AND proof_sealed IS NULL AND proof <> '{}'
        RETURNING 1
    ) SELECT EXISTS (SELECT 1 FROM done)
$$;
CREATE FUNCTION kairos_seal_letter(wanted bigint, sealed bytea, whose text) RETURNS boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH done AS (
        UPDATE dead_letter SET raw = sealed, sealed_for = whose
        WHERE tenant = current_setting('kairos.tenant') AND dead_letter_id = wanted AND sealed_for IS NULL
        RETURNING 1
    ) SELECT EXISTS (SELECT 1 FROM done)
$$;
REVOKE ALL ON FUNCTION kairos_seal_proof(bigint, bytea), kairos_seal_letter(bigint, bytea, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kairos_seal_proof(bigint, bytea), kairos_seal_letter(bigint, bytea, text) TO kairos_app;
"""


def upgrade() -> None:
    op.execute(FUNCTIONS)
