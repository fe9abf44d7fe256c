"""Decisions that were answered while PostgreSQL was away: sealed lines of one local file, on disk when ``add`` returns.

They are recorded in PostgreSQL as soon as it is back, and then the file is emptied. Recording one twice changes
nothing, for its id is there already; so nothing is struck out line by line. A line that a power cut left unfinished
was never answered, and is cut off.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Self

import structlog

from adapters.decisions_aside import DecisionsAside
from adapters.secrets import SecretBox
from adapters.settings import Settings
from adapters.spooled import Spooled, opened, sealed

FOLDER = "spool"
FILE = "decisions.spool"
_log = structlog.get_logger("kairos.spool")


class SpoolUnavailable(RuntimeError):
    """Nothing more can be kept here: the file cannot be written, or is as large as it may be."""


class DecisionSpool:
    """One file of one process; another process that opens it finds it taken, and cannot add."""

    def __init__(self, folder: Path, box: SecretBox, *, most_bytes: int) -> None:
        """Open nothing yet.

        Args:
            folder: where the file is.
            box: seals its lines; they name people.
            most_bytes: how large it may become.
        """
        self._path = folder / FILE
        self._aside = DecisionsAside(folder, box)
        self._box = box
        self._most_bytes = most_bytes
        self._lock = Lock()
        self._handle: int | None = None
        self._end = 0
        self._kept: dict[tuple[str, str], Spooled] = {}

    @classmethod
    def of(cls, settings: Settings, box: SecretBox) -> Self:
        """Return the spool of this installation, with what an earlier process left in it."""
        spool = cls(settings.data_dir / FOLDER, box, most_bytes=settings.decision_spool_mb * 1024 * 1024)
        spool.open()
        return spool

    def open(self) -> None:
        """Read what is there. A file that cannot be opened is told in the log, and again by each ``add``."""
        with self._lock:
            try:
                self._opened()
            except OSError as error:
                _log.error("spool.unusable", error=type(error).__name__, number=error.errno)

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, tenant: str, decision_id: str) -> Spooled | None:
        """Return a decision that is not recorded yet, None when there is none of the id."""
        return self._kept.get((tenant, decision_id))

    def add(self, spooled: Spooled) -> None:
        """Keep a decision, on disk when this returns; the first of an id counts.

        Raises:
            SpoolUnavailable: it is not kept, and may not be answered.
        """
        line = sealed(self._box, spooled)
        with self._lock:
            if spooled.name in self._kept:
                return
            try:
                self._append(line)
            except OSError as error:
                raise SpoolUnavailable(f"the spool cannot be written ({type(error).__name__})") from None
            self._kept[spooled.name] = spooled

    def drain(self, record: Callable[[Spooled], None]) -> int:
        """Record every decision, the oldest first, and empty the file once all are; return how many were.

        Args:
            record: records one, and raises nothing but what says that none can be recorded now.
        """
        done = 0
        while True:
            with self._lock:
                waiting = list(self._kept.values())[done:]
                if not waiting:
                    self._empty()
                    return done
            for each in waiting:
                record(each)
                done += 1

    def set_aside(self, spooled: Spooled) -> None:
        """Keep a decision that can never be recorded where it is in nobody's way, for somebody to look at."""
        self._aside.add(spooled)

    def close(self) -> None:
        """Let another process have the file; what is in it stays."""
        with self._lock:
            if self._handle is not None:
                os.close(self._handle)
                self._handle = None

    def _opened(self) -> int:
        if self._handle is not None:
            return self._handle
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read(handle)
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        return handle

    def _read(self, handle: int) -> None:
        body = os.pread(handle, os.fstat(handle).st_size, 0)
        self._end = body.rfind(b"\n") + 1
        if self._end < len(body):
            _log.warning("spool.torn", bytes=len(body) - self._end)
            os.ftruncate(handle, self._end)
        for spooled in opened(self._box, body):
            self._kept.setdefault(spooled.name, spooled)

    def _append(self, line: bytes) -> None:
        handle = self._opened()
        if self._end + len(line) > self._most_bytes:
            raise SpoolUnavailable("the spool is full")
        try:
            written = 0
            while written < len(line):
                written += os.pwrite(handle, line[written:], self._end + written)
            os.fdatasync(handle)
        except OSError:
            # Half a line must not stand before the next one.
            os.ftruncate(handle, self._end)
            raise
        self._end += len(line)

    def _empty(self) -> None:
        if self._handle is not None and self._end:
            os.ftruncate(self._handle, 0)
            os.fdatasync(self._handle)
            self._end = 0
        self._kept.clear()
