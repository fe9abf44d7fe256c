"""Say of kept answers whose data they may hold, so that they are erased with the person."""

from alembic import op

revision = "erase_kept_answers"
down_revision = "contact_budget"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE idempotency_record ADD COLUMN subject_key TEXT;
COMMENT ON COLUMN idempotency_record.subject_key IS 'whose data the answer may hold, when the address names a recipient';
CREATE INDEX idempotency_record_subject ON idempotency_record (tenant, subject_key);
"""


def upgrade() -> None:
    op.execute(COLUMNS)
