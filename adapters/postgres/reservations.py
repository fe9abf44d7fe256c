"""Contacts that are reserved for later, in the ledger of the contact budget: they count until they are sent or over.

One that is past its end counts for nothing, whether or not anybody took it out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, update
from sqlalchemy.dialects.postgresql import insert

from adapters.postgres.contact_tables import contact as contacts
from domain.contact_budget import Contact
from domain.tenants import Tenant


@dataclass(frozen=True)
class Reservation:
    """A contact at a later moment, under an id, which counts for as long as it may still be made."""

    contact_id: str
    subject_key: str
    contact: Contact
    until: datetime


def reserve(connection: Connection, tenant: Tenant, reservations: Sequence[Reservation]) -> None:
    """Reserve contacts; the same id is never reserved twice, and one that was made is not made a reservation."""
    rows = [
        {
            "tenant": tenant.tenant,
            "contact_id": each.contact_id,
            "subject_key": each.subject_key,
            "channel": each.contact.channel.value,
            "message_class": each.contact.message_class.value if each.contact.message_class is not None else None,
            "category": each.contact.category,
            "campaign_id": each.contact.campaign_id,
            "at": each.contact.at,
            "reserved_until": each.until,
        }
        for each in reservations
    ]
    if rows:
        connection.execute(insert(contacts).on_conflict_do_nothing(), rows)


def release(connection: Connection, contact_ids: Sequence[str]) -> None:
    """Give reserved contacts back; one that was made stays."""
    connection.execute(
        delete(contacts).where(contacts.c.contact_id.in_(list(contact_ids)), contacts.c.reserved_until.is_not(None))
    )


def move(connection: Connection, contact_id: str, *, at: datetime) -> None:
    """Reserve a contact for another moment."""
    reserved = (contacts.c.contact_id == contact_id) & contacts.c.reserved_until.is_not(None)
    connection.execute(update(contacts).where(reserved).values(at=at))
