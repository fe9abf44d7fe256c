"""The tables of the contact budget: a tenant's rules, who was contacted when, and what a window has used up."""

from sqlalchemy import Column, Index, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import MOMENT, metadata, recorded

contact_budget = Table(
    "contact_budget",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    recorded("recorded_at"),
)

contact = Table(
    "contact",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("contact_id", Text, primary_key=True, comment="the decision's id, or source and id of the event"),
    Column("subject_key", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("message_class", Text, comment="null when it was sent elsewhere under a type we do not know"),
    Column("category", Text),
    Column("campaign_id", Text),
    Column("at", MOMENT, nullable=False, comment="the tenant's clock"),
    Column("released_at", MOMENT, comment="it did not get through: it counts no more"),
    Column("reserved_until", MOMENT, comment="not sent yet, and from then on it counts no more; null when it was sent"),
    Column("message_type", Text),
    Column("variant_id", Text, comment="what was seen, for the policies over variants"),
    Index("contact_of_subject", "tenant", "subject_key", "at"),
)

contact_use = Table(
    "contact_use",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("rule_id", Text, primary_key=True),
    Column("window_start", MOMENT, primary_key=True),
    Column("used", Integer, nullable=False, server_default="0"),
)
