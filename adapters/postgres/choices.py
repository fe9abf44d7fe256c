"""What recipients chose, read for decisions: preferences, the tenant's defaults, and when they were last sent what.

The last is asked only about recipients whose preferences limit how often. What may send something is recorded one
after the other for each recipient (``adapters.postgres.contacts``), so that two at once cannot both be the first.
"""

import base64
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from adapters.postgres import preferences
from domain.gates import Allowances
from domain.identity import subject_key
from domain.preference_gate import Choices, LastSent, limits_frequency
from domain.preferences import LONGEST_PERIOD, Preference, PreferencePolicy
from domain.tenants import Tenant


def with_choices(
    connection: Connection, tenant: Tenant, allowed: Mapping[str, Allowances], *, now: datetime
) -> dict[str, Allowances]:
    """Return what recipients allow together with what they chose.

    Args:
        connection: a transaction of the tenant.
        tenant: whose.
        allowed: by recipient, what was read already.
        now: the tenant's clock.
    """
    chosen = _chosen(connection, tenant, allowed)
    limited = {subject_key(tenant.subject_secret, who): who for who, each in chosen.items() if limits_frequency(each)}
    if limited:
        for name, sent in _sent(connection, list(limited), now).items():
            chosen[limited[name]] = replace(chosen[limited[name]], sent=tuple(sent))
    return {who: replace(each, choices=chosen[who]) for who, each in allowed.items()}


def _chosen(connection: Connection, tenant: Tenant, recipient_ids: Iterable[str]) -> dict[str, Choices]:
    rows = connection.execute(_READ, {"recipient_id": list(recipient_ids)}).all()
    policy = rows[0].policy if rows else None
    defaults = PreferencePolicy.model_validate(policy).defaults if policy is not None else ()
    given = [_given(row.recipient_id, each) for row in rows for each in row.preferences]
    mine: dict[str, list[Preference]] = defaultdict(list)
    for (who, *_), preference in zip(given, preferences.opened(connection, tenant, given), strict=True):
        if preference is not None:
            mine[who].append(preference)
    return {row.recipient_id: Choices(tuple(mine[row.recipient_id]), defaults) for row in rows}


def _given(recipient_id: str, row: Mapping[str, Any]) -> tuple[str, str, int, dict[str, Any], bytes | None]:
    sealed = base64.b64decode(row["sealed"]) if row["sealed"] is not None else None
    return recipient_id, row["preference_id"], row["version"], row["document"], sealed


def _sent(connection: Connection, names: Sequence[str], now: datetime) -> dict[str, list[LastSent]]:
    found: dict[str, list[LastSent]] = defaultdict(list)
    asked = {"subject_key": names, "since": now - LONGEST_PERIOD}
    for row in connection.execute(_SENT, asked):
        last = LastSent(channel=row.channel, category=row.category, content_type=row.message_type, at=row.at)
        found[row.subject_key].append(last)
    return found


_READ = text("""
SELECT asked.recipient_id,
    (SELECT document FROM preference_policy ORDER BY version DESC LIMIT 1) AS policy,
    (SELECT coalesce(json_agg(json_build_object('preference_id', p.preference_id, 'version', p.version,
        'document', p.document, 'sealed', encode(p.sealed, 'base64')) ORDER BY p.preference_id), '[]')
     FROM preference p WHERE p.recipient_id = asked.recipient_id AND p.deleted_at IS NULL) AS preferences
FROM unnest(CAST(:recipient_id AS text[])) AS asked (recipient_id)
""")

_SENT = text("""
SELECT subject_key, channel, category, message_type, max(decided_at) AS at FROM decision
WHERE subject_key = ANY(CAST(:subject_key AS text[])) AND decided_at >= :since
    AND outcome = 'send_now' AND category IS NOT NULL
GROUP BY subject_key, channel, category, message_type
""")
