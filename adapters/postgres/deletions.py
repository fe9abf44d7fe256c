"""Deleting a recipient: their profile is emptied and says so, and every later message is refused."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, text

from adapters.postgres import profile_history


def delete(connection: Connection, tenant: str, deleted: Mapping[str, datetime]) -> None:
    """Delete recipients in a transaction that holds their heads; the earliest moment stays.

    Args:
        connection: the transaction.
        tenant: whose recipients.
        deleted: the moment of each, by recipient.
    """
    recipients = sorted(deleted)
    moments = [deleted[recipient] for recipient in recipients]
    connection.execute(_DELETE, {"tenant": tenant, "recipient_id": recipients, "deleted_at": moments})
    profile_history.forget(connection, recipients)


# A recipient without a profile gets one that says deleted: the next decision must refuse them all the same.
_DELETE = text("""
INSERT INTO profile (tenant, recipient_id, version, deleted_at)
SELECT :tenant, recipient_id, 1, deleted_at FROM unnest(
    CAST(:recipient_id AS text[]), CAST(:deleted_at AS timestamptz[])) AS given (recipient_id, deleted_at)
ON CONFLICT (tenant, recipient_id) DO UPDATE SET
    deleted_at = least(profile.deleted_at, excluded.deleted_at), version = profile.version + 1,
    time_zone = NULL, document = NULL, unsealed = NULL, updated_at = clock_timestamp()
""")
