"""Seal the proofs of consents and what dead letters hold; what is there already stays readable."""

from alembic import op

revision = "seal_proofs"
down_revision = "change_feed"
branch_labels = None
depends_on = None

CHANGES = """
ALTER TABLE consent_record ADD COLUMN proof_sealed BYTEA;
COMMENT ON COLUMN consent_record.proof IS 'from before proofs were sealed';
ALTER TABLE dead_letter ADD COLUMN sealed_for TEXT;
COMMENT ON COLUMN dead_letter.raw IS 'what was received; sealed when sealed_for is set';
COMMENT ON COLUMN dead_letter.sealed_for IS 'the subject it is sealed for, * for none that is known';
CREATE INDEX dead_letter_subject ON dead_letter (tenant, sealed_for);
"""


def upgrade() -> None:
    op.execute(CHANGES)
