"""Tables of the law and of mailbox rules, as SQLAlchemy sees them."""

from sqlalchemy import BigInteger, Column, Date, SmallInteger, Table, Text

from adapters.postgres.tables import metadata

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

APPEND_ONLY: tuple[str, ...] = ()
