"""Exports of one person's data: everything there is (GDPR Art. 15), or what they gave, to take along (Art. 20)."""

from datetime import timedelta
from enum import StrEnum

from domain.values import Frozen, Moment

KEPT_FOR = timedelta(hours=24)
"""How long a finished file waits to be fetched, and the longest its link is good."""


class ExportKind(StrEnum):
    """What is exported."""

    ACCESS = "access"
    PORTABILITY = "portability"


class ExportState(StrEnum):
    """Where an export is; only a ready one can be fetched, and that once."""

    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FETCHED = "fetched"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Export(Frozen):
    """An export as it stands; ``bytes`` are those of the sealed file, a little more than what is fetched."""

    export_id: str
    kind: ExportKind
    state: ExportState
    records: int
    bytes: int
    requested_at: Moment
    finished_at: Moment | None
    link_expires_at: Moment | None


CONTEXT = {
    "@vocab": "urn:kairos:",
    "schema": "https://schema.org/",
    "city": "schema:addressLocality",
    "region": "schema:addressRegion",
    "country": "schema:addressCountry",
    "language": "schema:knowsLanguage",
    "job_role": "schema:jobTitle",
    "skills": "schema:skills",
    "occurred_at": "schema:startTime",
    "recorded_at": "schema:dateCreated",
    "expires_at": "schema:expires",
}
"""The JSON-LD context of both kinds: schema.org's word where it has one, ours otherwise. Nothing has to be fetched."""

PORTABLE = {
    "profile": "Profile",
    "recipient_address": "AddressHash",
    "consent_record": "ConsentRecord",
    "consent_state": "ConsentState",
    "channel_switch": "ChannelSwitch",
    "preference": "Preference",
    "event": "Event",
}
"""What a person gave or did themselves, by table, with its type; what was concluded about them is not portable."""
