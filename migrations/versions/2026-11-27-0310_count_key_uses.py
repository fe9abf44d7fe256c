"""Count how often each data key was used, so that none is used too often."""

from alembic import op

revision = "key_uses"
down_revision = "merges"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE subject_data_key ADD COLUMN uses BIGINT DEFAULT 0 NOT NULL")
    op.execute("COMMENT ON COLUMN subject_data_key.uses IS 'values sealed, estimated: one use in 65536 is counted'")
