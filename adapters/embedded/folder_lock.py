"""One owner per folder: a lock the kernel releases when its holder dies, however it dies.

A file left by a dead holder is not a lock and is taken over silently.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class Locked(RuntimeError):
    """Another live process holds the folder."""

    def __init__(self, path: Path, pid: int | None) -> None:
        self.pid = pid
        holder = f"process {pid}" if pid else "another process"
        super().__init__(f"{path.parent} is in use by {holder}")


class FolderLock:
    """Held from construction until ``release``; the file names the holder's pid for people."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            Locked: someone alive holds it.
            OSError: the file cannot be made.
        """
        self._path = path
        self._handle: int | None = _lock(path)
        os.truncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the folder free; a second call does nothing."""
        if self._handle is None:
            return
        os.truncate(self._handle, 0)
        os.close(self._handle)
        self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _lock(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise Locked(path, holder(path)) from None
        # The last holder may have deleted the folder in between: then what we hold is nobody's lock.
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            return handle
        os.close(handle)


def holder(path: Path) -> int | None:
    """Return the pid written in a lock file, None when there is none.

    The file alone does not say whether that process still holds the lock.
    """
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
