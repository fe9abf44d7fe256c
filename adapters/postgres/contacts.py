"""Who was contacted when, and what each window has used up, in PostgreSQL: the ledger of the contact budget.

A recipient's contacts are read by one decision after the other, so a cap is exact. What a whole tenant uses is charged
at the end of the transaction, by a statement that goes no further than the limit.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from adapters.postgres import audit, budgets, profiles, reservations
from adapters.postgres.audit import AuditEntry
from adapters.postgres.engine import Database
from domain import contact_budget
from domain.contact_budget import LONGEST, Contact, ContactBudget, Spent, Standing
from domain.events import EngagementEvent, EventType
from domain.identity import subject_key
from domain.legal.places import place_of
from domain.tenants import Tenant
from domain.values import Channel, MessageClass


class Exhausted(RuntimeError):
    """A window was used up between reading and charging; nothing may be recorded."""


@dataclass(frozen=True)
class Made:
    """One contact of the ledger: whose, and under which id; the same id is never charged twice."""

    contact_id: str
    subject_key: str
    contact: Contact
    message_type: str | None = None
    variant_id: str | None = None


class ContactLedger:
    """Shows what is spent on a recipient."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def standings(self, tenant: Tenant, recipient_id: str, *, actor: str, now: datetime) -> tuple[Standing, ...]:
        """Return how the rules stand for one recipient, on the clock they are likeliest to have; reading is audited."""
        with self._database.tenant(tenant.tenant) as connection:
            budget = budgets.KIND.read(connection).document
            stored = profiles.read(connection, tenant, [recipient_id]).get(recipient_id)
            made = spent(connection, tenant, [recipient_id], budget, now=now)[recipient_id].contacts
            entry = AuditEntry(action="contacts.read", actor=actor, object="contact_budget", recipient_id=recipient_id)
            audit.write(connection, tenant, [entry])
        place = place_of(stored.profile if stored is not None else None, None, tenant.zone)
        return contact_budget.standings(budget, made, now=now, zone=place.zone)


def one_after_the_other(connection: Connection, tenant: Tenant, recipient_ids: Iterable[str]) -> None:
    """Let nobody else decide about these recipients until the transaction ends.

    Taken in order of names and before anything else: whoever waits here holds nothing that anybody could want.
    """
    names = sorted({subject_key(tenant.subject_secret, each) for each in recipient_ids})
    connection.execute(_ONE_AFTER_THE_OTHER, {"tenant": tenant.tenant, "names": names})


def spent(
    connection: Connection,
    tenant: Tenant,
    recipient_ids: Sequence[str],
    budget: ContactBudget,
    *,
    now: datetime,
    lock: bool = False,
    leaving_out: Sequence[str] = (),
    with_seen: bool = False,
) -> dict[str, Spent]:
    """Return what each recipient's and the tenant's windows have used up.

    Args:
        connection: a transaction of the tenant.
        tenant: whose.
        recipient_ids: whom a message may go to.
        budget: the rules in force.
        now: the tenant's clock.
        lock: hold the tenant's windows until the transaction ends.
        leaving_out: ids of reservations that are about to be used, and so do not count against it.
        with_seen: also say which variants each recipient saw how often, decayed; in the same reading.
    """
    theirs: dict[str, list[Contact]] = defaultdict(list)
    seen: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    who = {subject_key(tenant.subject_secret, each): each for each in recipient_ids}
    if budget.looks_back or with_seen:
        asked = {"subject_key": list(who), "since": now - budget.looks_back, "now": now}
        asked["leaving_out"] = list(leaving_out)
        asked |= {"seen_since": now - LONGEST} if with_seen else {}
        for row in connection.execute(_CONTACTS_AND_SEEN if with_seen else _CONTACTS, asked):
            if row.seen is None:
                theirs[who[row.subject_key]].append(_contact(row))
            else:
                seen[who[row.subject_key]][row.message_type, row.variant_id] = row.seen
    used = _used(connection, tenant, budget, now, lock=lock)
    return {each: Spent(tuple(theirs[each]), used, now, seen[each]) for each in recipient_ids}


def _contact(row: Any) -> Contact:
    """Return a contact as it was entered; checking each again would cost more than reading it."""
    return Contact.model_construct(
        channel=Channel(row.channel),
        at=row.at,
        message_class=MessageClass(row.message_class) if row.message_class is not None else None,
        category=row.category,
        campaign_id=row.campaign_id,
    )


def _used(
    connection: Connection, tenant: Tenant, budget: ContactBudget, now: datetime, *, lock: bool
) -> dict[str, int]:
    windows = {rule_id: start for rule_id, start, _ in _windows(tenant, budget, now)}
    if not windows:
        return {}
    given = {"tenant": tenant.tenant, "rule_id": list(windows), "window_start": list(windows.values())}
    rows = connection.execute(_LOCK_USE if lock else _USE, given)
    return {row.rule_id: row.used for row in rows}


def _windows(tenant: Tenant, budget: ContactBudget, at: datetime) -> list[tuple[str, datetime, int]]:
    """Return id, start of the window that holds a moment, and limit of each of the tenant's rules, by id."""
    rules = budget.of(contact_budget.Per.TENANT)
    found = [(each.id, each.calendar.bounds(at, tenant.zone)[0], each.limit) for each in rules if each.calendar]
    return sorted(found)


def charge(connection: Connection, tenant: Tenant, budget: ContactBudget, made: Sequence[Made]) -> None:
    """Enter contacts that decisions make, and count them against the tenant's windows.

    Raises:
        Exhausted: a window has no room for all of them.
    """
    entered = _enter(connection, tenant, made)
    counts = Counter(rule.id for each in entered for rule in contact_budget.charged(budget, each.contact))
    if not counts:
        return
    at = entered[0].contact.at
    windows = [(rule_id, start, counts[rule_id], limit) for rule_id, start, limit in _windows(tenant, budget, at)]
    needed = [each for each in windows if each[2]]
    rows = connection.execute(_CHARGE, _columns(tenant, needed)).all()
    if len(rows) < len(needed):
        raise Exhausted("a window of the contact budget was used up meanwhile")
    if any(row.used == counts[row.rule_id] for row in rows):
        # A window begins; those of long ago are of no use to anybody.
        connection.execute(_FORGET, {"before": at - LONGEST})


def note(connection: Connection, tenant: Tenant, events: Iterable[EngagementEvent], *, now: datetime) -> None:
    """Enter what was sent elsewhere, and release what did not get through.

    A message that was sent is counted even where it exceeds a limit: it happened. One that failed gives its recipient
    the contact back, not the provider its capacity.
    """
    recent = [each for each in events if each.occurred_at > now - LONGEST and each.channel is not None]
    sent = [each for each in recent if each.type is EventType.NOTIFICATION_SENT]
    entered = _entered(connection, tenant, sent) if sent else []
    failed = [each for each in recent if each.type in _FAILURES and each.decision_id is not None]
    if failed:
        given = {"contact_id": [each.decision_id for each in failed], "at": [each.occurred_at for each in failed]}
        connection.execute(_RELEASE, given)
    if entered:
        # Units last, as where decisions take them: nobody waits for a contact while holding a channel's window.
        _count(connection, tenant, entered)


_FAILURES = frozenset({EventType.FAILED, EventType.BOUNCED})


def _entered(connection: Connection, tenant: Tenant, events: Sequence[EngagementEvent]) -> list[Made]:
    """Enter what was sent and return what was not there; what was only reserved was sent before it was asked for."""
    types = {each.message_type for each in events if each.message_type is not None}
    known = {row.type: row for row in connection.execute(_TYPES, {"types": sorted(types)})}
    reservations.release(connection, [each.decision_id for each in events if each.decision_id is not None])
    return _enter(connection, tenant, [_made(tenant, each, known) for each in events])


def _count(connection: Connection, tenant: Tenant, entered: Sequence[Made]) -> None:
    budget = budgets.KIND.read(connection).document
    windows: Counter[tuple[str, datetime]] = Counter()
    for each in entered:
        charged = {rule.id for rule in contact_budget.charged(budget, each.contact)}
        for rule_id, start, _ in _windows(tenant, budget, each.contact.at):
            windows[rule_id, start] += rule_id in charged
    rows = [(rule_id, start, count, _NO_LIMIT) for (rule_id, start), count in sorted(windows.items()) if count]
    if rows:
        connection.execute(_CHARGE, _columns(tenant, rows))


_NO_LIMIT = 2**31 - 1


def _made(tenant: Tenant, event: EngagementEvent, known: Mapping[str, Any]) -> Made:
    definition = known.get(event.message_type or "")
    contact = Contact(
        channel=event.channel,
        at=event.occurred_at,
        message_class=definition.message_class if definition is not None else None,
        category=definition.category if definition is not None else None,
        campaign_id=event.campaign_id,
    )
    own_id = json.dumps([event.source, event.event_id])
    subject = subject_key(tenant.subject_secret, event.recipient_id)
    return Made(event.decision_id or own_id, subject, contact, event.message_type, event.variant_id)


def _enter(connection: Connection, tenant: Tenant, made: Sequence[Made]) -> list[Made]:
    """Enter contacts and return those that were not there."""
    by_id = {each.contact_id: each for each in made}
    if not by_id:
        return []
    rows = [
        {
            "contact_id": each.contact_id,
            "subject_key": each.subject_key,
            "message_type": each.message_type,
            "variant_id": each.variant_id,
        }
        | _told(each.contact)
        for each in made
    ]
    given = {"tenant": tenant.tenant, "rows": json.dumps(rows)}
    return [by_id[contact_id] for contact_id in connection.execute(_ENTER, given).scalars()]


def _told(contact: Contact) -> dict[str, Any]:
    return contact.model_dump(mode="json")


def _columns(tenant: Tenant, rows: Sequence[tuple[str, datetime, int, int]]) -> dict[str, Any]:
    ids, starts, units, limits = map(list, zip(*rows, strict=True))
    named = {"rule_id": ids, "window_start": starts, "units": units, "at_most": limits}
    return {"tenant": tenant.tenant} | named


_ONE_AFTER_THE_OTHER = text("""
SELECT pg_advisory_xact_lock(hashtextextended('kairos.contacts/' || :tenant || '/' || name, 0))
FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS asked (name, place) ORDER BY place
""")

_OF_CONTACTS = """
SELECT subject_key, channel, message_class, category, campaign_id, at,
    NULL AS message_type, NULL AS variant_id, CAST(NULL AS double precision) AS seen
FROM contact WHERE subject_key = ANY(CAST(:subject_key AS text[])) AND at > :since AND released_at IS NULL
    AND (reserved_until IS NULL OR reserved_until > :now) AND contact_id <> ALL(CAST(:leaving_out AS text[]))
"""
_CONTACTS = text(_OF_CONTACTS)
_CONTACTS_AND_SEEN = text(f"""{_OF_CONTACTS} UNION ALL
SELECT subject_key, NULL, NULL, NULL, NULL, NULL, message_type, variant_id,
    sum(power(CAST(2 AS double precision), -greatest(0, extract(epoch FROM (:now - at))) / (15 * 86400.0)))
FROM contact
WHERE subject_key = ANY(CAST(:subject_key AS text[])) AND at > :seen_since AND released_at IS NULL
    AND reserved_until IS NULL
    AND variant_id IS NOT NULL AND message_type IS NOT NULL
GROUP BY subject_key, message_type, variant_id
""")
"""How often a recipient saw each variant, each time fading by half in 15 days (models/content_bandit/exposure.py)."""

_USE = text("""
SELECT u.rule_id, u.used FROM contact_use u
JOIN unnest(CAST(:rule_id AS text[]), CAST(:window_start AS timestamptz[])) AS asked (rule_id, window_start)
    USING (rule_id, window_start)
WHERE u.tenant = :tenant
""")

_LOCK_USE = text("""
INSERT INTO contact_use (tenant, rule_id, window_start, used)
SELECT :tenant, rule_id, window_start, 0
FROM unnest(CAST(:rule_id AS text[]), CAST(:window_start AS timestamptz[])) AS asked (rule_id, window_start)
ORDER BY rule_id COLLATE "C"
ON CONFLICT (tenant, rule_id, window_start) DO UPDATE SET used = contact_use.used
RETURNING rule_id, used
""")

_ENTER = text("""
INSERT INTO contact (
    tenant, contact_id, subject_key, channel, message_class, category, campaign_id, at, message_type, variant_id)
SELECT
    :tenant, contact_id, subject_key, channel, message_class, category, campaign_id, at, message_type, variant_id
FROM json_to_recordset(:rows) AS given (contact_id text, subject_key text, channel text, message_class text,
    category text, campaign_id text, at timestamptz, message_type text, variant_id text)
ORDER BY contact_id COLLATE "C"
ON CONFLICT DO NOTHING
RETURNING contact_id
""")

_CHARGE = text("""
WITH given AS (
    SELECT * FROM unnest(CAST(:rule_id AS text[]), CAST(:window_start AS timestamptz[]), CAST(:units AS integer[]),
        CAST(:at_most AS integer[])) AS given (rule_id, window_start, units, at_most)
)
INSERT INTO contact_use AS u (tenant, rule_id, window_start, used)
SELECT :tenant, rule_id, window_start, units FROM given WHERE units <= at_most
ORDER BY rule_id COLLATE "C", window_start
ON CONFLICT (tenant, rule_id, window_start) DO UPDATE SET used = u.used + excluded.used
WHERE u.used + excluded.used <= (SELECT at_most FROM given g
    WHERE g.rule_id = excluded.rule_id AND g.window_start = excluded.window_start)
RETURNING rule_id, used
""")
"""Windows are taken in order of their names: two batches then wait for each other, never in a circle."""

_FORGET = text("""
DELETE FROM contact_use WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM contact_use WHERE window_start < :before LIMIT 1000 FOR UPDATE SKIP LOCKED))
""")

_RELEASE = text("""
UPDATE contact SET released_at = given.at
FROM unnest(CAST(:contact_id AS text[]), CAST(:at AS timestamptz[])) AS given (contact_id, at)
WHERE contact.contact_id = given.contact_id AND contact.released_at IS NULL
""")

_TYPES = text("""
SELECT DISTINCT ON (type) type, document->>'class' AS message_class, document->>'category' AS category
FROM message_type WHERE type = ANY(CAST(:types AS text[])) ORDER BY type, version DESC
""")
