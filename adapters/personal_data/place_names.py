"""The places that hold personal data, by name: every table that names a recipient or a pseudonym, and some more.

The tables are found in the schema itself, so that one that is added is erased without being asked for.
"""

from adapters.postgres.schema import metadata

KEPT = {
    "profile": "a tombstone, emptied, by which every later message is refused",
    "suppression": "refuses later messages; names a channel and a cause, and no content",
    "consent_head": "a counter that decisions lock; names the recipient and nothing about them",
    "recipient_change": "one line, by which listeners learn of the deletion; never a value; pruned by age",
    "event_key": "the digest by which an erased event is not stored again; names no person",
    "audit": "pseudonyms only; what changed is sealed under the destroyed key",
    "erasure": "the receipt itself, without the recipient's id once it is finished",
}
"""What stays of everybody who was erased, each with the reason; the receipt says so."""

EXPORTS = "data_export"
DATA_KEY = "subject_data_key"
OUTBOX = "outbox"
CHANGES = "recipient_change"
DEAD_LETTERS = "dead_letter"
JOBS = "job"
SPOOL = "decision_spool"
LAKE = "lake"
ARTIFACTS = "mlflow_artifacts"
ONLINE = "online_features"


def tables() -> tuple[str, ...]:
    """Return the tables with rows of a person that are erased."""
    personal = {table.name for table in metadata.sorted_tables if _NAMING & set(table.c.keys())}
    return tuple(sorted(personal - KEPT.keys() - {DATA_KEY, EXPORTS}))


def every() -> tuple[str, ...]:
    """Return every place, in the order in which they are erased."""
    return (DATA_KEY, *tables(), OUTBOX, CHANGES, DEAD_LETTERS, JOBS, EXPORTS, SPOOL, LAKE, ARTIFACTS, ONLINE)


def erasable() -> tuple[str, ...]:
    """Return the places a request may leave alone; without the key what is sealed is kept and opens no more."""
    return every()


_NAMING = {"recipient_id", "subject_key"}
