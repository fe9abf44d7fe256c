"""Keep, with each consent, a keyed hash of the address it came from."""

from alembic import op

revision = "consent_address"
down_revision = "pauses"
branch_labels = None
depends_on = None

COLUMN = """
ALTER TABLE consent_record ADD COLUMN address_hash TEXT;
COMMENT ON COLUMN consent_record.address_hash IS 'of where it was said from; keyed with the tenant''s secret';
"""


def upgrade() -> None:
    op.execute(COLUMN)
