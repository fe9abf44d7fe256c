"""The table of what is believed of variants, as SQLAlchemy sees it."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Table, Text

from adapters.postgres.tables import MOMENT, metadata, recorded

variant_belief = Table(
    "variant_belief",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("message_type", Text, primary_key=True),
    Column("version", Integer, primary_key=True, comment="the newest is in force; a few older ones are kept"),
    Column(
        "learned_until",
        MOMENT,
        nullable=False,
        comment="decisions up to this moment of the tenant's clock were learnt from",
    ),
    Column("learned_rows", BigInteger, nullable=False, comment="outcomes learnt from so far"),
    Column("body", LargeBinary, nullable=False, comment="numbers only, of nobody in particular"),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of the body"),
    recorded(),
)
