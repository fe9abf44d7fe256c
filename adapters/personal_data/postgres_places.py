"""A person's rows in PostgreSQL, those of append-only tables too, and the keys their fields are sealed under."""

import json
import re

from sqlalchemy import Connection, select, text

from adapters.personal_data.places import Person
from adapters.postgres import dead_letters, subject_keys
from adapters.postgres.outbox import EVENTS
from adapters.postgres.tables import dead_letter


class Table:
    """One table with a column ``recipient_id`` or ``subject_key``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def erase(self, connection: Connection, person: Person) -> int:
        """Delete the person's rows, those of append-only tables too."""
        given = {"request": person.erasure_id, "place": self.name}
        return int(connection.execute(_ERASE, given).scalar_one())


class EventRows:
    """What the person did; to be anonymized, the rows stay under a random id, without anything free or linking."""

    name = "event"

    def erase(self, connection: Connection, person: Person) -> int:
        """Delete the rows, or take the person out of them."""
        if person.anonymous_id is None:
            return Table(self.name).erase(connection, person)
        return int(connection.execute(_ANONYMIZE, {"request": person.erasure_id}).scalar_one())


class Outbox:
    """Events of the person on their way to the online features; changes for listeners carry no value and stay."""

    name = "outbox"

    def erase(self, connection: Connection, person: Person) -> int:
        """Delete them."""
        return connection.execute(_ERASE_OUTBOX, {"key": person.recipient_id, "topic": EVENTS}).rowcount


class ChangeList:
    """What listeners are told: numbers and kinds of changes, without values."""

    name = "recipient_change"

    def erase(self, connection: Connection, person: Person) -> int:
        """Delete the person's lines but the newest of the profile, by which listeners learn of the deletion."""
        return connection.execute(_ERASE_CHANGES, {"recipient_id": person.recipient_id}).rowcount


class DeadLetters:
    """What was received, is no event, and names the person anywhere in its bytes."""

    name = "dead_letter"

    def erase(self, connection: Connection, person: Person) -> int:
        """Delete the letters sealed for the person, and of those sealed for nobody the ones that name them.

        A name counts as a word of its own: rather one letter too many than one too few.
        """
        found = list(connection.execute(_SEALED_FOR.where(dead_letter.c.sealed_for == person.subject_key)).scalars())
        named = _naming(person.recipient_id)
        found += [letter for letter, raw in dead_letters.unclaimed(connection, person.tenant) if named.search(raw)]
        given = {"request": person.erasure_id, "letters": found}
        return int(connection.execute(_ERASE_LETTERS, given).scalar_one()) if found else 0


class DataKey:
    """The keys under which the person's fields are sealed, here and in every backup."""

    name = "subject_data_key"

    def erase(self, connection: Connection, person: Person) -> int:
        """Destroy them."""
        keys = subject_keys.of(connection)
        was_there = not keys.is_destroyed(connection, person.tenant, person.recipient_id)
        keys.destroy(connection, person.tenant, person.recipient_id)
        return int(was_there)


def _naming(recipient_id: str) -> re.Pattern[bytes]:
    forms = {recipient_id, json.dumps(recipient_id)[1:-1], recipient_id.replace('"', '""')}
    either = b"|".join(re.escape(form.encode()) for form in sorted(forms))
    return re.compile(rb"(?<![\w.-])(?:" + either + rb")(?![\w.-])")


_SEALED_FOR = select(dead_letter.c.dead_letter_id)
_ANONYMIZE = text("SELECT kairos_anonymize_events(:request)")
_ERASE = text("SELECT kairos_erase_rows(:request, :place)")
_ERASE_LETTERS = text("SELECT kairos_erase_dead_letters(:request, CAST(:letters AS bigint[]))")
_ERASE_OUTBOX = text("DELETE FROM outbox WHERE key = :key AND topic = :topic")
_ERASE_CHANGES = text("""
DELETE FROM recipient_change WHERE recipient_id = :recipient_id AND change_id <> coalesce(
    (SELECT max(change_id) FROM recipient_change WHERE recipient_id = :recipient_id AND kind = 'profile'), 0)
""")
