"""The tables of volume targets and of the prices that steer towards them, as SQLAlchemy sees them."""

from sqlalchemy import ARRAY, BigInteger, Column, Double, Integer, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import MOMENT, metadata, recorded

volume_targets = Table(
    "volume_targets",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("version", Integer, primary_key=True, comment="the newest is in force"),
    Column("document", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    recorded(),
)

channel_price = Table(
    "channel_price",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("scope", Text, primary_key=True, comment="a channel, or tenant for everything"),
    Column("version", Integer, primary_key=True, comment="the newest is in force; older ones are kept for a while"),
    Column("price", Double, nullable=False, comment="of one message, in conversions, at least 0"),
    Column("scale", Double, nullable=False, comment="one unit of relative error of volume, in conversions"),
    Column("error", Double, nullable=False, comment="relative, of the step that ended"),
    Column("at", MOMENT, nullable=False, comment="the tenant's clock, up to which the plan was compared"),
    Column("counted_until", MOMENT, nullable=False, comment="decisions recorded up to then are counted"),
    Column("sent", BigInteger, nullable=False, comment="messages in the step"),
    Column("planned", Double, nullable=False, comment="messages the step should have had"),
    Column("sent_day", BigInteger, nullable=False, comment="messages since the day began"),
    Column("sent_week", BigInteger, nullable=False, comment="messages since the week began"),
    Column("hours", ARRAY(Double), nullable=False, comment="decisions by local hour, with the past fading"),
    recorded(),
)

APPEND_ONLY = ("volume_targets",)
