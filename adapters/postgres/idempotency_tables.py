"""The table of answers to requests with an idempotency key: what was answered once is answered again."""

from sqlalchemy import Column, Index, LargeBinary, SmallInteger, Table, Text

from adapters.postgres.tables import metadata, recorded

idempotency_record = Table(
    "idempotency_record",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("principal", Text, primary_key=True),
    Column("route", Text, primary_key=True, comment="method and template, which name no one"),
    Column("key_digest", LargeBinary, primary_key=True, comment="keyed; the sender's key may say anything"),
    Column("fingerprint", LargeBinary, nullable=False, comment="keyed digest of address, body and precondition"),
    Column("status", SmallInteger, nullable=False),
    Column("answer", LargeBinary, nullable=False, comment="headers and body, sealed for this row"),
    recorded(),
    Column("subject_key", Text, comment="whose data the answer may hold, when the address names a recipient"),
    Index("idempotency_record_subject", "tenant", "subject_key"),
    Index("idempotency_record_age", "tenant", "recorded_at"),
)
