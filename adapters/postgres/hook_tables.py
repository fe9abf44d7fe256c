"""Tables of webhooks, as SQLAlchemy sees them: the hooks, what waits for each, and every attempt."""

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import MOMENT, metadata, recorded

hook = Table(
    "hook",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("hook_id", Text, primary_key=True),
    Column("events", JSONB, nullable=False),
    Column("description", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False, comment="url and secrets, sealed with the master key"),
    Column("is_enabled", Boolean, nullable=False, server_default="true"),
    Column("disabled_because", Text, comment="set when we switched it off"),
    Column("failures", Integer, nullable=False, server_default="0", comment="in a row"),
    Column("failing_since", MOMENT),
    Column("rest_until", MOMENT, comment="nothing is sent before; real time"),
    recorded("created_at"),
    recorded("updated_at"),
)

hook_delivery = Table(
    "hook_delivery",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("delivery_id", Text, primary_key=True),
    Column("hook_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("recipient_id", Text, comment="whom it names, so that it goes when they are erased"),
    Column("data", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    recorded("due_at"),
    recorded(),
    Column("ended_at", MOMENT),
    Index("hook_delivery_waiting", "tenant", "hook_id", "due_at", postgresql_where=text("state = 'waiting'")),
    Index("hook_delivery_hook", "tenant", "hook_id", "recorded_at"),
    Index("hook_delivery_recipient", "tenant", "recipient_id"),
)

hook_attempt = Table(
    "hook_attempt",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("delivery_id", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("at", MOMENT, nullable=False),
    Column("status", Integer, comment="null when there was no answer"),
    Column("problem", Text),
    Column("milliseconds", Integer, nullable=False),
)

APPEND_ONLY: tuple[str, ...] = ()
