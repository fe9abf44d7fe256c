"""The tables of preference templates: their versions, whom they were applied to, and what people think of them."""

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, LargeBinary, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.postgres.tables import MOMENT, metadata, recorded

preference_template = Table(
    "preference_template",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("template_id", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", JSONB, nullable=False),
    Column("actor", Text, nullable=False),
    recorded("published_at"),
)

template_member = Table(
    "template_member",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("template_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("held", JSONB, nullable=False, comment="positions of the values that are for this recipient"),
    Column("application_id", Text, nullable=False),
    Column("since", MOMENT, nullable=False, comment="the tenant's clock"),
    Index("template_member_template", "tenant", "template_id", "version"),
)

template_application = Table(
    "template_application",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("application_id", Text, primary_key=True),
    Column("template_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("audience", Text),
    Column("total", Integer, nullable=False, comment="recipients it was asked for"),
    Column("job_id", Text, comment="null when it was done at once"),
    Column("actor", Text, nullable=False),
    recorded("applied_at"),
    Column("rollback_job_id", Text),
    Column("rolled_back_at", MOMENT),
    Index("template_application_template", "tenant", "template_id", "version"),
)

template_change = Table(
    "template_change",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("application_id", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("before", JSONB, comment="the membership that the application replaced; null for none"),
    Index("template_change_recipient", "tenant", "recipient_id"),
)

template_feedback = Table(
    "template_feedback",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("feedback_id", BigInteger, Identity(always=True), primary_key=True),
    Column("template_id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("rating", SmallInteger, nullable=False, comment="1 to 5"),
    Column("comment", LargeBinary, comment="sealed for the tenant: nobody knows what people write there"),
    Column("comment_id", Text, comment="what the comment is sealed for"),
    Column("actor", Text, nullable=False),
    recorded(),
    Index("template_feedback_template", "tenant", "template_id", "version"),
)

APPEND_ONLY = ("preference_template", "template_feedback")
