"""Merge identities: the head of a recipient who was merged into another names the one who stays."""

from alembic import op

revision = "merges"
down_revision = "late_sealing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE consent_head ADD COLUMN merged_into TEXT")
    op.execute("COMMENT ON COLUMN consent_head.merged_into IS 'the recipient who stays; this id is an alias then'")
    op.execute("CREATE INDEX consent_head_alias ON consent_head (tenant, merged_into) WHERE merged_into IS NOT NULL")
