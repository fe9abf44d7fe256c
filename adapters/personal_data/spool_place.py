"""A person's decisions in local files: those put aside for good, and those that wait to be recorded."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from adapters.decision_spool import FILE, FOLDER
from adapters.decisions_aside import DecisionsAside
from adapters.personal_data.export_sources import Record
from adapters.personal_data.place_names import SPOOL
from adapters.personal_data.places import NotYet, Person
from adapters.secrets import SecretBox
from adapters.spooled import Spooled, opened


class SpoolFiles:
    """Both files of the installation, as an erasure and as an export see them."""

    name = SPOOL

    def __init__(self, data_dir: Path, box: SecretBox) -> None:
        self._folder = data_dir / FOLDER
        self._box = box
        self._aside = DecisionsAside(self._folder, box)

    def erase(self, connection: Connection, person: Person) -> int:  # noqa: ARG002 - the files are not in PostgreSQL
        """Take what was put aside of the person out of its file.

        Raises:
            NotYet: decisions about them wait to be recorded; they go with the table once they are.
        """
        if any(_is_of(person, self._waiting())):
            raise NotYet("decisions that were made while PostgreSQL was away are to be recorded first")
        return self._aside.without(lambda each: any(_is_of(person, [each])))

    def page(self, connection: Connection, person: Person, after: Any) -> tuple[list[Record], Any]:  # noqa: ARG002
        """Return the person's decisions of both files, on one page: they are few."""
        return [_told(each) for each in _is_of(person, [*self._aside.all(), *self._waiting()])], None

    def _waiting(self) -> list[Spooled]:
        try:
            return list(opened(self._box, (self._folder / FILE).read_bytes()))
        except FileNotFoundError:
            return []


def _is_of(person: Person, spooled: Iterable[Spooled]) -> Iterable[Spooled]:
    for each in spooled:
        is_theirs = person.recipient_id == each.row.recipient_id or person.subject_key == each.row.subject_key
        if each.tenant == person.tenant.tenant and is_theirs:
            yield each


def _told(spooled: Spooled) -> Record:
    row = spooled.row
    return {
        "decision_id": row.decision_id,
        "decided_at": row.decided_at,
        "outcome": row.outcome,
        "reason": row.reason,
        "message_type": row.message_type,
        "record": row.record,
        "answer": row.answer,
    }
