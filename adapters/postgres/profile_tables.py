"""The table of the versions of profiles, as SQLAlchemy sees it."""

from sqlalchemy import Column, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import metadata, recorded

profile_version = Table(
    "profile_version",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", LargeBinary, comment="the sealed document the profile had in this version, byte for byte"),
    Column("unsealed", JSONB, comment="a profile from before documents were sealed"),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    recorded(),
)

APPEND_ONLY: tuple[str, ...] = ()
"""Not even this one: what a deleted recipient was known for is forgotten."""
