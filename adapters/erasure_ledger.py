"""Who was erased, kept outside the database: a restored backup holds people who were erased after it was made.

One file for each tenant, a line for each erasure; pseudonyms only.
"""

import json
import os
from datetime import datetime
from pathlib import Path

from adapters.settings import Settings

FOLDER = "erasure-ledger"


class ErasureLedger:
    """Appends and reads the ledgers below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, settings: Settings) -> "ErasureLedger":
        """Return the ledger of an installation."""
        return cls(settings.erasure_ledger_dir or settings.data_dir / FOLDER)

    def add(self, tenant: str, subject_key: str, *, at: datetime) -> None:
        """Note an erasure, on disk when this returns; noting it twice is harmless."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = json.dumps({"subject_key": subject_key, "at": at.isoformat()}) + "\n"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with os.fdopen(os.open(self._folder / f"{tenant}.jsonl", flags, 0o600), "w") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def subjects(self, tenant: str) -> set[str]:
        """Return the pseudonyms of everybody who was erased; a line cut short by a power cut is passed over."""
        path = self._folder / f"{tenant}.jsonl"
        if not path.is_file():
            return set()
        return {json.loads(line)["subject_key"] for line in path.read_text().splitlines() if line.endswith("}")}
