"""The table of content sources, as SQLAlchemy sees it: where a tenant's texts are, one place each."""

from sqlalchemy import Column, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import metadata, recorded

content_source = Table(
    "content_source",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("version", Integer, nullable=False, comment="grows with each change"),
    Column("types", JSONB, nullable=False, comment="message types it may be asked about; empty for all"),
    Column("sealed", LargeBinary, nullable=False, comment="url and key, sealed with the master key"),
    recorded("created_at"),
    recorded("updated_at"),
)

APPEND_ONLY: tuple[str, ...] = ()
