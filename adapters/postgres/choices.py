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

from adapters.postgres import preference_templates, preferences
from adapters.postgres.preferences import Row
from domain.gates import Allowances
from domain.identity import subject_key
from domain.preference_gate import Choices, LastSent, limits_frequency
from domain.preference_templates import named
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
    return {who: each.with_choices(chosen[who]) for who, each in allowed.items()}


def _chosen(connection: Connection, tenant: Tenant, recipient_ids: Iterable[str]) -> dict[str, Choices]:
    policy = connection.execute(_READ_POLICY).scalar_one_or_none()
    defaults = _defaults(policy) if policy is not None else ()
    chosen = {who: Choices(defaults=defaults) for who in recipient_ids}
    sealed: list[Row] = []
    for who, documents, hidden in connection.execute(_READ, {"recipient_id": list(chosen)}):
        chosen[who] = Choices(tuple([preferences.put_together(*each) for each in documents]), defaults)
        sealed += [(who, each[0], int(each[1]), each[2], base64.b64decode(each[3])) for each in hidden]
    mine: dict[str, list[Preference]] = defaultdict(list)
    for (who, *_), preference in zip(sealed, preferences.opened(connection, tenant, sealed), strict=True):
        if preference is not None:
            mine[who].append(preference)
    for who, opened in mine.items():
        chosen[who] = Choices((*chosen[who].preferences, *opened), defaults)
    return _with_templates(connection, chosen)


def _with_templates(connection: Connection, chosen: Mapping[str, Choices]) -> dict[str, Choices]:
    """Return the choices with what the templates say that are applied to some of them, parsed once for all of one."""
    members = connection.execute(_READ_MEMBERS, {"recipient_id": list(chosen)}).all()
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


_READ = text("""
SELECT recipient_id,
    coalesce(array_agg(ARRAY[document->>'scope', document->>'value', (document - 'scope' - 'value')::text]
        ORDER BY preference_id) FILTER (WHERE sealed IS NULL), '{}') AS documents,
    coalesce(array_agg(ARRAY[preference_id, version::text, document::text, encode(sealed, 'base64')]
        ORDER BY preference_id) FILTER (WHERE sealed IS NOT NULL), '{}') AS hidden
FROM preference WHERE recipient_id = ANY(CAST(:recipient_id AS text[])) AND deleted_at IS NULL
GROUP BY recipient_id
""")
"""Documents as text and in parts: what two recipients wrote alike is parsed once."""

_READ_MEMBERS = text("""
SELECT recipient_id, template_id, version, held FROM template_member
WHERE recipient_id = ANY(CAST(:recipient_id AS text[]))
""")

_READ_POLICY = text("SELECT document::text FROM preference_policy ORDER BY version DESC LIMIT 1")

_SENT = text("""
SELECT subject_key, channel, category, message_type, max(decided_at) AS at FROM decision
WHERE subject_key = ANY(CAST(:subject_key AS text[])) AND decided_at >= :since
    AND outcome = 'send_now' AND category IS NOT NULL
GROUP BY subject_key, channel, category, message_type
""")
