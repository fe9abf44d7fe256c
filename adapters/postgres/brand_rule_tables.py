"""The table of brand rules, as SQLAlchemy sees it."""

from sqlalchemy import Column, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import metadata, recorded

brand_rules = Table(
    "brand_rules",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("version", Integer, primary_key=True, comment="the newest is in force"),
    Column("document", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    recorded(),
)

APPEND_ONLY = ("brand_rules",)
