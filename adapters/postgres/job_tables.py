"""The tables of jobs: what was asked for, how far it is, and what became of each item."""

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import MOMENT, metadata, recorded

job = Table(
    "job",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("job_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("position", Integer, nullable=False, server_default="0", comment="items that are done"),
    Column("payload", LargeBinary, comment="what was asked for, sealed; null once the job has ended"),
    Column("actor", Text, nullable=False),
    Column("problem", Text, comment="why it failed, naming nobody"),
    recorded("created_at"),
    recorded("updated_at"),
    Column("leased_until", MOMENT, comment="until then nobody else works on it; real time"),
    Index("job_open", "tenant", "state", "created_at"),
    Index("job_waits", "tenant", postgresql_where=text("state IN ('queued', 'running')")),
)

job_result = Table(
    "job_result",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("job_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("detail", JSONB, nullable=False, server_default="{}"),
)
