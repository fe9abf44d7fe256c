"""The table of what shadow models said about decisions that others made, as SQLAlchemy sees it."""

from sqlalchemy import Column, ForeignKeyConstraint, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import MOMENT, metadata, recorded

shadow_score = Table(
    "shadow_score",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("decision_id", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("version", Text, primary_key=True, comment="of the shadow"),
    Column("champion", Text, nullable=False, comment="the version that decided"),
    Column("subject_key", Text, nullable=False),
    Column("decided_at", MOMENT, nullable=False, comment="the tenant's clock"),
    Column("p", JSONB, nullable=False, comment="chance of a conversion by channel"),
    recorded(),
    # Goes with its decision, whoever forgets or erases that; nothing can be added about one that is being erased.
    ForeignKeyConstraint(
        ["tenant", "decision_id"],
        ["decision.tenant", "decision.decision_id"],
        name="shadow_score_decision",
        ondelete="CASCADE",
    ),
)
