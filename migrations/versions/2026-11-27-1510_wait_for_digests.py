"""Let what decisions left wait for each other: the digest in which messages of one recipient go."""

from alembic import op

revision = "digests"
down_revision = "volume_pacing"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE follow_up ADD COLUMN digest_id TEXT;
COMMENT ON COLUMN follow_up.digest_id IS 'the digest it goes in, once that was put together';
CREATE INDEX follow_up_digest ON follow_up (tenant, digest_id) WHERE digest_id IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(COLUMNS)
