"""The table of proposed variants, as SQLAlchemy sees it."""

from sqlalchemy import Column, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import MOMENT, metadata, recorded

variant_proposal = Table(
    "variant_proposal",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("proposal_id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("variant", JSONB, nullable=False),
    Column("errors", JSONB, nullable=False, comment="what lint found; such a one cannot be approved"),
    Column("proposed_by", Text, nullable=False),
    recorded("proposed_at"),
    Column("decided_by", Text),
    Column("decided_at", MOMENT),
    Column("published_version", Integer, comment="the version of the type that it entered"),
    Index("variant_proposal_type", "tenant", "type", "proposed_at", "proposal_id"),
)

APPEND_ONLY: tuple[str, ...] = ()
