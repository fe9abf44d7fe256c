"""The tables of plans: what was asked for and came out, who is in one while it is made, and its items."""

from sqlalchemy import Column, Double, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import MOMENT, metadata, recorded

plan = Table(
    "plan",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("plan_id", Text, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("summary", JSONB, comment="null until the audience was optimised"),
    Column("actor", Text, nullable=False),
    recorded(),
)

plan_page = Table(
    "plan_page",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("plan_id", Text, primary_key=True),
    Column("page", Integer, primary_key=True),
    Column("people", LargeBinary, nullable=False, comment="who, and worth of options; sealed, goes at the end"),
)

plan_item = Table(
    "plan_item",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("plan_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("page", Integer, nullable=False),
    Column("place", Integer, nullable=False, comment="of the recipient, in the page"),
    Column("channel", Text, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("starts", MOMENT, nullable=False, comment="the tenant's clock"),
    Column("worth", Double, nullable=False),
    Column("decision_id", Text),
    Column("outcome", Text),
    Column("reason", Text),
    Column("action_probability", Double),
    Column("problem", Text),
)
