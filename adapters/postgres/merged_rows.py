"""Rows that go from one id of a person to the other as they are, by one statement each; of two the stricter stays."""

from sqlalchemy import Connection, text

from domain.identity import subject_key
from domain.tenants import Tenant


def move(connection: Connection, tenant: Tenant, other: str, stays: str) -> dict[str, int]:
    """Give who stays what the other has, in a transaction that holds both heads.

    Args:
        connection: the transaction.
        tenant: whose recipients.
        other: who becomes an alias.
        stays: who it stands for.

    Returns:
        Rows that changed, by what they are. Addresses are not among them: those of an alias count as they are.
    """
    secret = tenant.subject_secret
    given = {"other": other, "stays": stays}
    given |= {"other_key": subject_key(secret, other), "stays_key": subject_key(secret, stays)}
    return {name: connection.execute(statement, given).rowcount for name, statement in _MOVES.items()}


_SWITCHES = text("""
INSERT INTO channel_switch (tenant, recipient_id, channel, is_on, source)
SELECT tenant, :stays, channel, is_on, 'merge' FROM channel_switch WHERE recipient_id = :other
ON CONFLICT (tenant, recipient_id, channel) DO UPDATE SET is_on = false, source = excluded.source,
    changed_at = clock_timestamp()
WHERE channel_switch.is_on AND NOT excluded.is_on
""")

_SUPPRESSIONS = text("""
INSERT INTO suppression (tenant, recipient_id, channel, reason, since, source)
SELECT tenant, :stays, channel, reason, since, 'merge' FROM suppression WHERE recipient_id = :other
ON CONFLICT (tenant, recipient_id, channel) DO UPDATE SET
    reason = excluded.reason, since = excluded.since, source = excluded.source
WHERE suppression.reason NOT IN ('bounced', 'manual') AND
    (excluded.reason IN ('bounced', 'manual') OR excluded.since > suppression.since)
""")
"""What stops every message stays before what stops marketing; of two of a kind the later, which less consent lifts."""

_OBJECTIONS = text("""
INSERT INTO objection (tenant, recipient_id, against, since, source, actor)
SELECT tenant, :stays, against, since, source, actor FROM objection WHERE recipient_id = :other
ON CONFLICT DO NOTHING
""")

_CONTACTS = text("UPDATE contact SET subject_key = :stays_key WHERE subject_key = :other_key")

_RETENTION = text("""
INSERT INTO recipient_retention (tenant, recipient_id, days, actor)
SELECT tenant, :stays, days, actor FROM recipient_retention WHERE recipient_id = :other
ON CONFLICT (tenant, recipient_id) DO UPDATE SET days = excluded.days, actor = excluded.actor
WHERE excluded.days < recipient_retention.days
""")

_MEMBERSHIP = text("""
WITH gone AS (DELETE FROM template_member WHERE recipient_id = :other RETURNING *)
INSERT INTO template_member (tenant, recipient_id, template_id, version, held, application_id, since)
SELECT tenant, :stays, template_id, version, held, application_id, since FROM gone
ON CONFLICT DO NOTHING
""")
"""Who stays keeps the template they have. It is the tenant's word, not theirs."""

_MOVES = {
    "channel_switches": _SWITCHES,
    "suppressions": _SUPPRESSIONS,
    "objections": _OBJECTIONS,
    "contacts": _CONTACTS,
    "retention": _RETENTION,
    "template": _MEMBERSHIP,
}
