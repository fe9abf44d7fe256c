"""What a place that holds personal data can do, and who it is asked about."""

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from domain.identity import subject_key
from domain.tenants import Tenant


@dataclass(frozen=True)
class Person:
    """Whose data, and the open request to erase it."""

    tenant: Tenant
    recipient_id: str
    erasure_id: str
    anonymous_id: str | None = None
    """Whose events theirs become, where they are to stay."""

    @property
    def subject_key(self) -> str:
        """Their pseudonym."""
        return subject_key(self.tenant.subject_secret, self.recipient_id)


class NotYet(RuntimeError):
    """A place cannot be erased now; the others are, and this one is asked again later."""


class Place(Protocol):
    """A place that holds personal data."""

    @property
    def name(self) -> str:
        """Its name in the receipt."""

    def erase(self, connection: Connection, person: Person) -> int:
        """Erase what the place holds of a person; doing it twice is harmless.

        Args:
            connection: the transaction that notes the place as done; what is in PostgreSQL goes with it.
            person: whose data.

        Returns:
            How many rows, files' rows or letters were erased this time.

        Raises:
            NotYet: something has to end first.
        """
