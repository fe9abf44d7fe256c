"""Tables of the law and of mailbox rules, as SQLAlchemy sees them."""

from sqlalchemy import BigInteger, Column, Date, Index, LargeBinary, SmallInteger, Table, Text

from adapters.postgres.tables import MOMENT, metadata, recorded

mail_count = Table(
    "mail_count",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("day", Date, primary_key=True, comment="UTC day of the events"),
    Column("shard", SmallInteger, primary_key=True, comment="keeps ingest's transactions from waiting for one row"),
    Column("sent", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("complained", BigInteger, nullable=False),
)

recipient_address = Table(
    "recipient_address",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("address_hash", LargeBinary, nullable=False, comment="keyed with the tenant's secret"),
    recorded(),
    Index("recipient_address_hash", "tenant", "address_hash"),
)

suppressed_address = Table(
    "suppressed_address",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("address_hash", LargeBinary, primary_key=True, comment="stays when the recipient is erased"),
    Column("reason", Text, nullable=False),
    Column("since", MOMENT, nullable=False),
    Column("source", Text, nullable=False),
    Column("actor", Text, nullable=False),
)

APPEND_ONLY: tuple[str, ...] = ()
