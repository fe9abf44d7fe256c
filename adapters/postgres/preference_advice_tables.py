"""The table of what recipients said to advice on their preferences, as SQLAlchemy sees it."""

from sqlalchemy import Column, Table, Text

from adapters.postgres.tables import MOMENT, metadata, recorded

preference_advice_answer = Table(
    "preference_advice_answer",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("recommendation_id", Text, primary_key=True, comment="of what was suggested; names nobody"),
    Column("act", Text, nullable=False, comment="accepted or dismissed"),
    Column("at", MOMENT, nullable=False, comment="the tenant's clock"),
    Column("actor", Text, nullable=False),
    recorded(),
)
