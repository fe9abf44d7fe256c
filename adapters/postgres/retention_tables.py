"""Tables of how long data is kept: a tenant's periods, and those of recipients who want a shorter one."""

from sqlalchemy import Column, Integer, Table, Text

from adapters.postgres.tables import metadata, recorded

retention_period = Table(
    "retention_period",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("place", Text, primary_key=True),
    Column("days", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    recorded(),
)

recipient_retention = Table(
    "recipient_retention",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("days", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    recorded(),
)

APPEND_ONLY: tuple[str, ...] = ()
