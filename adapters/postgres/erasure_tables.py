"""The table of erasures, as SQLAlchemy sees it."""

from sqlalchemy import Column, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import MOMENT, metadata, recorded

erasure = Table(
    "erasure",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("erasure_id", Text, primary_key=True),
    Column("subject_key", Text, nullable=False),
    Column("recipient_id", Text, comment="until every place is done, then null"),
    Column("keep", JSONB, nullable=False, comment="places left alone, each with the stated ground"),
    Column("done", JSONB, nullable=False, server_default="{}", comment="places done, each with its count"),
    Column("actor", Text, nullable=False),
    recorded("requested_at"),
    Column("finished_at", MOMENT),
    Column("mode", Text, nullable=False, server_default="erase", comment="erase, or anonymize"),
    Column("anonymous_id", Text, comment="random; whose events they are from now on; null once every place is done"),
    Index("erasure_open", "tenant", "requested_at", postgresql_where=text("finished_at IS NULL")),
    Index("erasure_subject", "tenant", "subject_key"),
)

APPEND_ONLY: tuple[str, ...] = ()
