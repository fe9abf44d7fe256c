"""Find what came of a decision without reading every event."""

from alembic import op

revision = "events_of_decisions"
down_revision = "attribute_schemas"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX event_decision ON event (tenant, decision_id) WHERE decision_id IS NOT NULL")
