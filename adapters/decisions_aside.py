"""Decisions that can never be recorded: sealed lines of one file that the service adds to and an erasure shortens."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.secrets import SecretBox
from adapters.spooled import Spooled, one, opened, sealed

FILE = "decisions.aside"


class DecisionsAside:
    """The file; whoever writes it holds a lock, in whatever process."""

    def __init__(self, folder: Path, box: SecretBox) -> None:
        """Open nothing yet.

        Args:
            folder: where the file is.
            box: seals its lines; they name people.
        """
        self._path = folder / FILE
        self._box = box

    def add(self, spooled: Spooled) -> None:
        """Keep a decision, on disk when this returns."""
        with self._locked(), os.fdopen(self._opened(self._path, os.O_APPEND), "wb") as file:
            self._write(file.fileno(), sealed(self._box, spooled))

    def all(self) -> list[Spooled]:
        """Return every decision, the oldest first."""
        return list(opened(self._box, self._body()))

    def without(self, is_gone: Callable[[Spooled], bool]) -> int:
        """Write the file anew without some decisions and return how many went; a kill leaves the old file or the new.

        Lines that cannot be opened stay: nobody can say whose they are.
        """
        if not self._path.exists():
            return 0
        with self._locked():
            lines = [(line, one(self._box, line)) for line in self._body().splitlines()]
            kept = [line for line, spooled in lines if spooled is None or not is_gone(spooled)]
            if len(kept) == len(lines):
                return 0
            draft = self._path.with_name(f".{FILE}.writing")
            with os.fdopen(self._opened(draft, os.O_TRUNC), "wb") as file:
                self._write(file.fileno(), b"".join(line + b"\n" for line in kept))
            draft.replace(self._path)
        return len(lines) - len(kept)

    def _body(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Not the file itself, in whose place another one comes.
        with os.fdopen(self._opened(self._path.with_name(f".{FILE}.lock")), "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @staticmethod
    def _opened(path: Path, more: int = 0) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | more, 0o600)

    @staticmethod
    def _write(handle: int, body: bytes) -> None:
        written = 0
        while written < len(body):
            written += os.write(handle, body[written:])
        os.fsync(handle)
