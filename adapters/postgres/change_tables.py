"""The tables of changes: what listeners are told, in order of commit, and how far each tenant's list reaches."""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from adapters.postgres.tables import MOMENT, metadata, recorded

recipient_change = Table(
    "recipient_change",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("change_id", BigInteger, primary_key=True, comment="without a gap, in the order of commit"),
    Column("recipient_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("recorded_at", MOMENT, nullable=False, comment="when the change was made"),
    recorded("announced_at"),
    Index("recipient_change_recipient", "tenant", "recipient_id", "change_id"),
    Index("recipient_change_announced", "tenant", "announced_at"),
)

change_feed = Table(
    "change_feed",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("last_id", BigInteger, nullable=False),
    Column("pruned_through", BigInteger, nullable=False, server_default="0", comment="nothing up to here is kept"),
)
