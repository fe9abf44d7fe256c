"""The tables of preferences: what each recipient chose, every version of it, and what the tenant says by default."""

from sqlalchemy import Boolean, Column, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import MOMENT, metadata, recorded

preference = Table(
    "preference",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("preference_id", Text, primary_key=True, comment="the name of its scope"),
    Column("version", Integer, nullable=False),
    Column("document", JSONB, nullable=False, comment="without circumstances and custom settings"),
    Column("sealed", LargeBinary, comment="circumstances and custom settings, under the key of the subject"),
    Column("field_versions", JSONB, nullable=False, server_default="{}", comment="which device said what, and when"),
    recorded("updated_at"),
    Column("deleted_at", MOMENT),
)

preference_version = Table(
    "preference_version",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("preference_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("sealed", LargeBinary, nullable=False, comment="the whole document, under the key of the subject"),
    Column("is_deleted", Boolean, nullable=False),
    Column("actor", Text, nullable=False),
    recorded(),
)

preference_policy = Table(
    "preference_policy",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    recorded("published_at"),
)

APPEND_ONLY = ("preference_version", "preference_policy")
