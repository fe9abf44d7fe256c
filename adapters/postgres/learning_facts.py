"""What decides which messages may be learned from: consent histories and attribution windows, of every tenant.

Read only, through a role that may see every tenant.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on

from adapters.postgres.engine import Database
from adapters.postgres.tables import consent_record, message_type
from domain.consent import ConsentState, ConsentStatus
from domain.values import Purpose


@dataclass(frozen=True)
class Facts:
    """``histories``: every consent by (tenant, recipient). ``windows``: attribution windows by (tenant, type)."""

    histories: Mapping[tuple[str, str], tuple[ConsentState, ...]]
    windows: Mapping[tuple[str, str], timedelta]


class LearningFacts:
    """Reads the facts of all tenants at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, purpose: Purpose = Purpose.PERSONALIZATION) -> Facts:
        """Return every consent record of one purpose, and the windows of the newest published message types."""
        histories: dict[tuple[str, str], list[ConsentState]] = defaultdict(list)
        with self._database.begin() as connection:
            for row in connection.execute(_RECORDS.where(consent_record.c.purpose == purpose.value)):
                histories[row.tenant, row.recipient_id].append(
                    ConsentState(
                        purpose=purpose,
                        channel=row.channel,
                        status=ConsentStatus(row.status),
                        effective_at=row.effective_at,
                        expires_at=row.expires_at,
                    )
                )
            published = connection.execute(_TYPES).all()
        windows = {
            (row.tenant, row.type): timedelta(hours=hours)
            for row in published
            if (hours := row.document.get("attribution_window_hours")) is not None
        }
        return Facts({key: tuple(states) for key, states in histories.items()}, windows)


_RECORDS = select(
    consent_record.c.tenant,
    consent_record.c.recipient_id,
    consent_record.c.channel,
    consent_record.c.status,
    consent_record.c.effective_at,
    consent_record.c.expires_at,
).order_by(consent_record.c.tenant, consent_record.c.record_id)

_TYPES = (
    select(message_type.c.tenant, message_type.c.type, message_type.c.document)
    .ext(distinct_on(message_type.c.tenant, message_type.c.type))
    .order_by(message_type.c.tenant, message_type.c.type, message_type.c.version.desc())
)
