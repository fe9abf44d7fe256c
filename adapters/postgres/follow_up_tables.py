"""The table of what decisions left to do: what waits for its moment, and what must reach and has not yet."""

from sqlalchemy import Column, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import MOMENT, metadata, recorded

follow_up = Table(
    "follow_up",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("decision_id", Text, primary_key=True, comment="the decision that left it"),
    Column("root_id", Text, nullable=False, comment="the first decision of the chain"),
    Column("recipient_id", Text, nullable=False, comment="as the decision named them"),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("message_type", Text, nullable=False),
    Column("campaign_id", Text),
    Column("due_at", MOMENT, nullable=False, comment="the tenant's clock"),
    Column("expires_at", MOMENT, nullable=False, comment="the tenant's clock; from then on it is worthless"),
    Column("channel", Text, comment="as it was drawn; null while it is open"),
    Column("variant_id", Text),
    Column("remaining", JSONB, nullable=False, server_default="[]", comment="channels that may be tried"),
    Column("until", Text, comment="what counts as reached"),
    Column("sends", Integer, nullable=False, server_default="0", comment="before this one, of a chain"),
    Column("attempts", Integer, nullable=False, server_default="0", comment="asked for, and had to wait again"),
    Column("released_at", MOMENT, comment="the tenant's clock: senders were told that it is due"),
    Column("settled_as", Text, comment="the decision that handed it over or stopped it"),
    Column("settled_at", MOMENT, comment="the tenant's clock"),
    Column("reason", Text, comment="why it was stopped"),
    Column("digest_id", Text, comment="the digest it goes in, once that was put together"),
    recorded(),
    Index("follow_up_due", "tenant", "due_at", postgresql_where=text("state = 'waiting'")),
    Index("follow_up_digest", "tenant", "digest_id", postgresql_where=text("digest_id IS NOT NULL")),
    Index("follow_up_root", "tenant", "root_id"),
    Index("follow_up_recipient", "tenant", "recipient_id"),
)
