"""The table of links: the place of each audit row in its tenant's chain, written by the sealer alone."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, Text

from adapters.postgres.tables import metadata, recorded

audit_link = Table(
    "audit_link",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False, comment="counts from 1 without a gap"),
    Column("audit_id", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of the row's canonical JSON"),
    Column("link", LargeBinary, nullable=False, comment="SHA-256 of the link before, the sequence and the digest"),
    recorded("sealed_at"),
    Index("audit_link_row", "tenant", "audit_id", unique=True),
)

APPEND_ONLY = ("audit_link",)
