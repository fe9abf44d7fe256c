"""What recipients chose, for decisions: preferences, template, the tenant's defaults, and when what was last sent.

The last is asked only about recipients whose preferences limit how often. What may send something is recorded one
after the other for each recipient (``adapters.postgres.contacts``), so that two at once cannot both be the first.
"""

import base64
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Connection, text

from adapters.postgres import allowances, preference_templates, preferences
from adapters.postgres.preferences import Row
from domain.gates import Allowances
from domain.identity import subject_key
from domain.preference_gate import Choices, LastSent, limits_frequency
from domain.preference_templates import named
from domain.preferences import LONGEST_PERIOD, Preference, PreferencePolicy
from domain.tenants import Tenant


def read(
    connection: Connection, tenant: Tenant, recipient_ids: Iterable[str], *, now: datetime
) -> dict[str, Allowances]:
    """Return what recipients allow together with what they chose, in one statement.

    Args:
        connection: a transaction of the tenant.
        tenant: whose.
        recipient_ids: whom it is about.
        now: the tenant's clock.
    """
    found = _read(connection, tenant, recipient_ids)
    limited = {
        subject_key(tenant.subject_secret, who): who for who, each in found.items() if limits_frequency(each.choices)
    }
    if limited:
        # What was sent to somebody before they were merged into the recipient counts too.
        for alias, stays in allowances.aliases(connection, limited.values()).items():
            limited[subject_key(tenant.subject_secret, alias)] = stays
        for name, sent in _sent(connection, list(limited), now).items():
            before = found[limited[name]]
            found[limited[name]] = before.with_choices(replace(before.choices, sent=(*before.choices.sent, *sent)))
    return found


def _read(connection: Connection, tenant: Tenant, recipient_ids: Iterable[str]) -> dict[str, Allowances]:
    rows = connection.execute(_READ, {"recipient_id": sorted(set(recipient_ids))}).all()
    policy = next((row.policy for row in rows if row.policy is not None), None)
    defaults = _defaults(policy) if policy is not None else ()
    sealed: list[Row] = []
    mine: dict[str, list[Preference]] = {}
    for row in rows:
        mine[row.recipient_id] = [preferences.put_together(*each) for each in row.documents or ()]
        sealed += [
            (row.recipient_id, name, int(at), said, base64.b64decode(s)) for name, at, said, s in row.hidden or ()
        ]
    for (who, *_), preference in zip(sealed, preferences.opened(connection, tenant, sealed), strict=True):
        if preference is not None:
            mine[who].append(preference)
    chosen = {who: Choices(tuple(theirs), defaults) for who, theirs in mine.items()}
    with_templates = _with_templates(connection, chosen)
    return {row.recipient_id: allowances.from_row(row).with_choices(with_templates[row.recipient_id]) for row in rows}


def _with_templates(connection: Connection, chosen: Mapping[str, Choices]) -> dict[str, Choices]:
    """Return the choices with what the templates say that are applied to some of them, parsed once for all of one."""
    members = connection.execute(_READ_MEMBERS, {"recipient_id": list(chosen)}).all()
    if not members:
        return dict(chosen)
    known = preference_templates.versions_of(connection, {(row.template_id, row.version): None for row in members})
    said: dict[tuple[str, int, tuple[int, ...]], tuple[Preference, ...]] = {}
    found = dict(chosen)
    for row in members:
        key = (row.template_id, row.version, tuple(row.held or ()))
        if key not in said:
            said[key] = known[row.template_id, row.version].held(key[2])
        name = named(row.template_id, row.version)
        found[row.recipient_id] = replace(chosen[row.recipient_id], template=said[key], template_name=name)
    return found


@lru_cache(maxsize=256)
def _defaults(policy: str) -> tuple[Preference, ...]:
    """Return a policy's defaults from its document; a policy is never changed, so its text is its version."""
    return PreferencePolicy.model_validate_json(policy).defaults


def _sent(connection: Connection, names: Sequence[str], now: datetime) -> dict[str, list[LastSent]]:
    found: dict[str, list[LastSent]] = defaultdict(list)
    asked = {"subject_key": names, "since": now - LONGEST_PERIOD}
    for row in connection.execute(_SENT, asked):
        last = LastSent(channel=row.channel, category=row.category, content_type=row.message_type, at=row.at)
        found[row.subject_key].append(last)
    return found


_READ = text(f"""
SELECT {allowances.COLUMNS},
    (SELECT array_agg(ARRAY[document->>'scope', document->>'value', (document - 'scope' - 'value')::text]
        ORDER BY preference_id) FROM preference c
     WHERE c.recipient_id = asked.recipient_id AND c.deleted_at IS NULL AND c.sealed IS NULL) AS documents,
    (SELECT array_agg(ARRAY[preference_id, version::text, document::text, encode(sealed, 'base64')]
        ORDER BY preference_id) FROM preference c
     WHERE c.recipient_id = asked.recipient_id AND c.deleted_at IS NULL AND c.sealed IS NOT NULL) AS hidden,
    CASE WHEN place = 1 THEN (SELECT document::text FROM preference_policy ORDER BY version DESC LIMIT 1) END AS policy
{allowances.ASKED}
""")
"""Documents in parts, as text: what two recipients wrote alike is parsed once. The first row brings the policy."""

_READ_MEMBERS = text("""
SELECT recipient_id, template_id, version, held FROM template_member
WHERE recipient_id = ANY(CAST(:recipient_id AS text[]))
""")

_SENT = text("""
SELECT subject_key, channel, category, message_type, max(decided_at) AS at FROM decision
WHERE subject_key = ANY(CAST(:subject_key AS text[])) AND decided_at >= :since
    AND outcome = 'send_now' AND category IS NOT NULL
GROUP BY subject_key, channel, category, message_type
""")
