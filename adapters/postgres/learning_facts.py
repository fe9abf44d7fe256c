"""What decides which messages may be learned from: consent histories and attribution windows, of every tenant.

Read only, through a role that may see every tenant.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import distinct_on

from adapters import legal_rule_files
from adapters.postgres.engine import Database
from adapters.postgres.rights_tables import objection
from adapters.postgres.tables import consent_record, message_type, profile, tenant
from domain.consent import ConsentState, ConsentStatus
from domain.legal.places import country_of
from domain.legal.rules import RuleSet
from domain.objections import ObjectionKind
from domain.values import Purpose

PURPOSES = (Purpose.PERSONALIZATION, Purpose.ANALYTICS, Purpose.OPEN_TRACKING)
"""What learning from a message needs, or must not have been refused."""

Who = tuple[str, str]
"""A tenant and one of its recipients."""
Countries = frozenset[str] | None
Leaving = tuple[str, datetime]
"""A channel, or ``*`` for all of them, and when a consent to marketing on it was withdrawn."""


@dataclass(frozen=True)
class Facts:
    """What may be learned from whom.

    ``histories``: every consent about one of ``PURPOSES`` by recipient. ``windows``: attribution windows by (tenant,
    type). ``countries``: where recipients are, by their own zone; ``home``: where a tenant is, for all others.
    ``rules``: None when no rule demands anything. ``leavings``: who withdrew a consent to marketing, where and when.
    """

    histories: Mapping[Who, tuple[ConsentState, ...]]
    windows: Mapping[tuple[str, str], timedelta]
    countries: Mapping[Who, Countries] = field(default_factory=dict)
    home: Mapping[str, Countries] = field(default_factory=dict)
    rules: RuleSet | None = None
    leavings: Mapping[Who, tuple[Leaving, ...]] = field(default_factory=dict)

    def place(self, who: Who) -> Countries:
        """Return the countries a recipient may be in; None where nothing is known, which every rule then reaches."""
        return self.countries[who] if who in self.countries else self.home.get(who[0])


class LearningFacts:
    """Reads the facts of all tenants at once."""

    def __init__(self, database: Database, rules: str) -> None:
        """Prepare to read; ``rules`` is the version or file of the rule set in force."""
        self._database = database
        self._rules = rules

    def read(self) -> Facts:
        """Return every consent record about a purpose of learning, and the windows of the newest message types."""
        with self._database.begin() as connection:
            histories, leavings = _histories(connection), _leavings(connection)
            published = connection.execute(_TYPES).all()
            zones = connection.execute(_ZONES).all()
            homes = connection.execute(select(tenant.c.tenant, tenant.c.time_zone)).all()
        windows = {
            (row.tenant, row.type): timedelta(hours=hours)
            for row in published
            if (hours := row.document.get("attribution_window_hours")) is not None
        }
        return Facts(
            histories={key: tuple(states) for key, states in histories.items()},
            windows=windows,
            countries={(row.tenant, row.recipient_id): _countries(row.time_zone) for row in zones},
            home={row.tenant: _countries(row.time_zone) for row in homes},
            rules=legal_rule_files.load(self._rules),
            leavings={key: tuple(each) for key, each in leavings.items()},
        )


def _histories(connection: Connection) -> Mapping[Who, list[ConsentState]]:
    found: dict[Who, list[ConsentState]] = defaultdict(list)
    objected = {(row.tenant, row.recipient_id): row.since for row in connection.execute(_OBJECTIONS)}
    for row in connection.execute(_RECORDS):
        since = objected.get((row.tenant, row.recipient_id))
        if since is not None and row.status == ConsentStatus.GIVEN.value and row.effective_at >= since:
            # An objection stands against every later grant; who objected is not learned from afterwards.
            continue
        found[row.tenant, row.recipient_id].append(
            ConsentState(
                purpose=Purpose(row.purpose),
                channel=row.channel,
                status=ConsentStatus(row.status),
                effective_at=row.effective_at,
                expires_at=row.expires_at,
            )
        )
    return found


def _leavings(connection: Connection) -> Mapping[Who, list[Leaving]]:
    found: dict[Who, list[Leaving]] = defaultdict(list)
    for row in connection.execute(_LEAVINGS):
        found[row.tenant, row.recipient_id].append((row.channel, row.effective_at))
    return found


def _countries(zone: str) -> Countries:
    """Return the country of a zone, or None for one like UTC, which lies in none."""
    country = country_of(zone)
    return frozenset({country}) if country is not None else None


_RECORDS = (
    select(
        consent_record.c.tenant,
        consent_record.c.recipient_id,
        consent_record.c.purpose,
        consent_record.c.channel,
        consent_record.c.status,
        consent_record.c.effective_at,
        consent_record.c.expires_at,
    )
    .where(consent_record.c.purpose.in_([each.value for each in PURPOSES]))
    .order_by(consent_record.c.tenant, consent_record.c.record_id)
)

_LEAVINGS = (
    select(
        consent_record.c.tenant, consent_record.c.recipient_id, consent_record.c.channel, consent_record.c.effective_at
    )
    .where(consent_record.c.purpose == Purpose.MARKETING.value)
    .where(consent_record.c.status == ConsentStatus.WITHDRAWN.value)
    .order_by(consent_record.c.tenant, consent_record.c.record_id)
)

_ZONES = select(profile.c.tenant, profile.c.recipient_id, profile.c.time_zone).where(profile.c.time_zone.is_not(None))

_OBJECTIONS = select(objection.c.tenant, objection.c.recipient_id, objection.c.since).where(
    objection.c.against == ObjectionKind.PROFILING.value
)

_TYPES = (
    select(message_type.c.tenant, message_type.c.type, message_type.c.document)
    .ext(distinct_on(message_type.c.tenant, message_type.c.type))
    .order_by(message_type.c.tenant, message_type.c.type, message_type.c.version.desc())
)
