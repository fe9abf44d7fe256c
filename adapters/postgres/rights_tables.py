"""Tables of what a person may demand: objections, which stand, and decisions they contest."""

from sqlalchemy import Column, Index, LargeBinary, Table, Text

from adapters.postgres.tables import MOMENT, metadata, recorded

objection = Table(
    "objection",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("against", Text, primary_key=True, comment="marketing or profiling"),
    Column("since", MOMENT, nullable=False),
    Column("source", Text, nullable=False),
    Column("actor", Text, nullable=False),
    recorded(),
)

decision_contest = Table(
    "decision_contest",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("contest_id", Text, primary_key=True),
    Column("decision_id", Text, nullable=False),
    Column("subject_key", Text, nullable=False),
    Column("statement", LargeBinary, nullable=False, comment="what the person says, under the key of the subject"),
    Column("source", Text, nullable=False),
    Column("actor", Text, nullable=False),
    recorded(),
    Column("reviewed_at", MOMENT),
    Column("reviewer", Text),
    Column("verdict", Text, comment="upheld or overturned, by a human"),
    Column("answer", LargeBinary, comment="what the person is told, under the key of the subject"),
    Index("decision_contest_decision", "tenant", "decision_id"),
    Index("decision_contest_subject", "tenant", "subject_key"),
)

APPEND_ONLY = ("objection",)
