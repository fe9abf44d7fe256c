"""The files of a person's exports: sealed under a key that went with the person's, and deleted all the same."""

from pathlib import Path

from sqlalchemy import Connection, delete

from adapters.personal_data.places import Person
from adapters.postgres import exports
from adapters.postgres.export_tables import data_export

FOLDER = "exports"


def path_of(data_dir: Path, export_id: str) -> Path:
    """Return where an export's file is."""
    return data_dir / FOLDER / f"{export_id}.sealed"


class ExportFiles:
    """Exports under way, ready and fetched; they were cancelled when the erasure was asked for."""

    name = "data_export"

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def erase(self, connection: Connection, person: Person) -> int:
        """Delete the files and forget the exports."""
        # Whoever writes one holds its row until the piece is written.
        for export_id in exports.of_subject(connection, person.subject_key):
            path_of(self._data_dir, export_id).unlink(missing_ok=True)
        here = data_export.c.subject_key == person.subject_key
        return connection.execute(delete(data_export).where(here)).rowcount
