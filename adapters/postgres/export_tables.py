"""The table of exports of one person's data: how far each is, under which key its file is sealed, and its one link."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import MOMENT, metadata, recorded

data_export = Table(
    "data_export",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("export_id", Text, primary_key=True),
    Column("subject_key", Text, nullable=False),
    Column("recipient_id", Text, comment="until the file is written or given up, then null"),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("position", JSONB, nullable=False, server_default="{}", comment="source and place in it to go on from"),
    Column("chunks", Integer, nullable=False, server_default="0"),
    Column("bytes", BigInteger, nullable=False, server_default="0", comment="of the sealed file, as far as it counts"),
    Column("records", BigInteger, nullable=False, server_default="0"),
    Column(
        "file_key", LargeBinary, comment="of the file, sealed under the key of the subject; null with the file gone"
    ),
    Column("actor", Text, nullable=False),
    recorded("requested_at"),
    Column("finished_at", MOMENT),
    Column("link_digest", LargeBinary, comment="keyed; of the one link that is good"),
    Column("link_expires_at", MOMENT),
    Index("data_export_state", "tenant", "state", "requested_at"),
    Index("data_export_subject", "tenant", "subject_key"),
    Index("data_export_link", "link_digest", unique=True),
)

APPEND_ONLY: tuple[str, ...] = ()
