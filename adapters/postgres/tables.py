"""The tables of the main job, as SQLAlchemy sees them; the migrations create them, a test holds both together.

Each tenant table has ``tenant`` first in its primary key and forced row-level security on it.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    func,
)
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

metadata = MetaData()

MOMENT = TIMESTAMP(timezone=True)


def recorded(name: str = "recorded_at") -> Column[object]:
    """Return a column with the real moment at which a row was written."""
    return Column(name, MOMENT, nullable=False, server_default=func.clock_timestamp())


tenant = Table(
    "tenant",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("is_sandbox", Boolean, nullable=False),
    Column("clock_offset_seconds", Double, nullable=False, server_default="0"),
    Column("subject_secret", LargeBinary, nullable=False, comment="sealed with the master key"),
    recorded("created_at"),
)

api_key = Table(
    "api_key",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("prefix", Text, primary_key=True),
    Column("key_hmac", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", JSONB, nullable=False),
    recorded("created_at"),
    Column("expires_at", MOMENT),
    Column("revoked_at", MOMENT),
    Column("roles", JSONB, nullable=False, server_default="[]"),
    Column("used_on", Date, comment="the last UTC day of use"),
    Column("refused_at", MOMENT, comment="when a refusal was last written to the trail"),
    Index("api_key_prefix", "prefix", unique=True),
)

event = Table(
    "event",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("name", Text),
    Column("channel", Text),
    Column("occurred_at", MOMENT, primary_key=True, comment="the partition column, by UTC day"),
    Column("received_at", MOMENT, nullable=False),
    Column("recipient_id", Text, nullable=False),
    Column("session_id", Text),
    Column("campaign_id", Text),
    Column("message_type", Text),
    Column("variant_id", Text),
    Column("decision_id", Text),
    Column("value_minor", BigInteger),
    Column("currency", Text),
    Column("category", Text),
    Column("local_hour_of_week", SmallInteger, nullable=False, comment="0 is Monday 00:00 where the recipient is"),
    Column("local_date", Date, nullable=False),
    Column("properties", JSONB, nullable=False),
    Column("context", JSONB),
    Column("attribution", JSONB),
    Index("event_recipient", "tenant", "recipient_id", "occurred_at"),
    Index("event_received", "tenant", "received_at"),
    Index("event_decision", "tenant", "decision_id", postgresql_where=sql_text("decision_id IS NOT NULL")),
    postgresql_partition_by="RANGE (occurred_at)",
)

event_key = Table(
    "event_key",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("occurred_at", MOMENT, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("outbox_id", BigInteger, Identity(always=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False, comment="what the message is about; for events the recipient"),
    Column("payload", JSONB, nullable=False),
    Column("published_epoch", Text, comment="the stream that carries it; another epoch publishes it again"),
    recorded(),
    Index("outbox_waiting", "tenant", "topic", "outbox_id"),
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("dead_letter_id", BigInteger, Identity(always=True), primary_key=True),
    Column("origin", Text, nullable=False, comment="api, or the name of the file with the line"),
    Column("position", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("field", Text),
    Column("expected", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False, comment="what was received; sealed when sealed_for is set"),
    Column("sealed_for", Text, comment="the subject it is sealed for, * for none that is known"),
    Column("received_at", MOMENT, nullable=False),
    Index("dead_letter_received", "tenant", "received_at"),
    Index("dead_letter_subject", "tenant", "sealed_for"),
)

ingest_batch = Table(
    "ingest_batch",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("batch_id", BigInteger, Identity(always=True), primary_key=True),
    Column("origin", Text, nullable=False),
    Column("received", Integer, nullable=False),
    Column("stored", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("dead", Integer, nullable=False),
    recorded(),
)

profile = Table(
    "profile",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("time_zone", Text, comment="for the local time of events; everything else is in the document"),
    Column("document", LargeBinary, comment="the whole profile, sealed for this version"),
    Column("unsealed", JSONB, comment="a profile from before documents were sealed"),
    recorded("created_at"),
    recorded("updated_at"),
    Column("deleted_at", MOMENT),
)

consent_head = Table(
    "consent_head",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("version", BigInteger, nullable=False, comment="counts every change of what the recipient allows"),
    Column("merged_into", Text, comment="the recipient who stays; this id is an alias then"),
    Index("consent_head_alias", "tenant", "merged_into", postgresql_where=sql_text("merged_into IS NOT NULL")),
)

consent_state = Table(
    "consent_state",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("effective_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT),
    Column("record_id", BigInteger, nullable=False),
)

consent_record = Table(
    "consent_record",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("record_id", BigInteger, Identity(always=True), primary_key=True),
    Column("recipient_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("legal_basis", Text, nullable=False),
    Column("effective_at", MOMENT, nullable=False),
    Column("expires_at", MOMENT),
    Column("source", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("text_version", Text),
    Column("proof", JSONB, nullable=False, server_default="{}", comment="from before proofs were sealed"),
    Column("proof_sealed", LargeBinary),
    recorded(),
    Column("address_hash", Text, comment="of where it was said from; keyed with the tenant's secret"),
    Index("consent_record_recipient", "tenant", "recipient_id", "record_id"),
)

suppression = Table(
    "suppression",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("since", MOMENT, nullable=False),
    Column("source", Text, nullable=False),
)

channel_switch = Table(
    "channel_switch",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("recipient_id", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("is_on", Boolean, nullable=False),
    Column("source", Text, nullable=False),
    recorded("changed_at"),
)

message_type = Table(
    "message_type",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("document", JSONB, nullable=False),
    recorded("published_at"),
)

decision = Table(
    "decision",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("decision_id", Text, primary_key=True),
    Column("subject_key", Text, nullable=False),
    Column("request_fingerprint", LargeBinary, nullable=False),
    Column("decided_at", MOMENT, nullable=False, comment="the tenant's clock"),
    Column("outcome", Text, nullable=False),
    Column("channel", Text),
    Column("variant_id", Text),
    Column("message_type", Text, nullable=False),
    Column("campaign_id", Text),
    Column("reason", Text, nullable=False),
    Column("action_probability", Double, nullable=False),
    Column("is_holdout", Boolean, nullable=False),
    Column("degraded", Text),
    Column("consent_version", BigInteger, nullable=False),
    Column("record", JSONB, nullable=False, comment="everything the decision knew, enough to repeat it"),
    Column("answer", JSONB, nullable=False, comment="what the caller was told, for a repeat of the same key"),
    Column("category", Text, comment="of the message type; null before preferences existed"),
    recorded(),
    Index("decision_subject", "tenant", "subject_key", "decided_at"),
    Index("decision_recorded", "tenant", "recorded_at"),
    Index(
        "decision_sent", "tenant", "message_type", "decided_at", postgresql_where=sql_text("outcome = 'send_now'::text")
    ),
)

audit = Table(
    "audit",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("audit_id", BigInteger, Identity(always=True), primary_key=True),
    Column("action", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("subject_key", Text),
    Column("object", Text, nullable=False),
    Column("detail", JSONB, nullable=False, server_default="{}"),
    recorded(),
    Column("reason", Text),
    Column("values_sealed", LargeBinary, comment="what was there before and after, under the key of the subject"),
    Column(
        "context",
        JSONB,
        nullable=False,
        server_default="{}",
        comment="by which way it came: request id, keyed hashes of address and user agent, law",
    ),
    Index("audit_subject", "tenant", "subject_key", "audit_id"),
)

APPEND_ONLY = ("consent_record", "decision", "audit", "event_key", "ingest_batch", "message_type", "dead_letter")
"""Tables the application role may read and add to, never change or delete from."""
