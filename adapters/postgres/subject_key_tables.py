"""The table of data keys: one or more for each subject, wrapped; what remains of an erased subject is a tombstone."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, Text

from adapters.postgres.tables import MOMENT, metadata, recorded

subject_data_key = Table(
    "subject_data_key",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("subject_key", Text, primary_key=True, comment="a pseudonym, or * for what belongs to no recipient"),
    Column("key_id", Text, primary_key=True, comment="16 hexadecimal digits, or erased for the tombstone"),
    Column("wrapped_by", Text, comment="the id of the key-encryption key; null in a tombstone"),
    Column("wrapped", LargeBinary),
    recorded("created_at"),
    Column("retired_at", MOMENT, comment="since then it only opens; what it sealed is being sealed again"),
    Column(
        "uses",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="values sealed, estimated: one use in 65536 is counted",
    ),
    Index("subject_data_key_wrapped_by", "tenant", "wrapped_by"),
)
