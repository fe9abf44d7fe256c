"""The tables of synchronization: every edit that devices sent, and what is known of each preference they edited."""

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import metadata, recorded

preference_edit = Table(
    "preference_edit",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("edit_id", BigInteger, Identity(always=True), primary_key=True),
    Column("recipient_id", Text, nullable=False),
    Column("preference_id", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("number", Integer, nullable=False, comment="the device's own count of its edits of the preference"),
    Column("sealed", LargeBinary, nullable=False, comment="the whole edit, under the key of the subject"),
    Column("verdict", Text, nullable=False, comment="what became of it when it arrived"),
    Column("actor", Text, nullable=False),
    recorded(),
    Index("preference_edit_number", "tenant", "recipient_id", "preference_id", "device", "number", unique=True),
)

synced_preference = Table(
    "synced_preference",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("preference_id", Text, primary_key=True),
    Column("by_acts", JSONB, nullable=False, comment="edits that denials and acts knew of, by device"),
    Column("by_others", JSONB, nullable=False, comment="edits that the rest knew of, by device"),
    Column("edits", JSONB, nullable=False, comment="the edits that neither covers: pairs of device and number"),
    Column("version", Integer, nullable=False, comment="of the preference, as synchronization left it; 0 for none"),
    recorded("updated_at"),
)

APPEND_ONLY = ("preference_edit",)
