"""The table of pauses, as SQLAlchemy sees it."""

from sqlalchemy import Column, Table, Text

from adapters.postgres.tables import metadata, recorded

pause = Table(
    "pause",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("channel", Text, primary_key=True, comment="* is the whole tenant"),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    recorded("since"),
)

APPEND_ONLY: tuple[str, ...] = ()
