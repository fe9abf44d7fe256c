"""What every embedded server is: a process we own, a port, a folder it holds; and how it gets its port."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from adapters.embedded import ports
from adapters.embedded.folder_lock import FolderLock
from adapters.embedded.ports import PortInUse
from adapters.embedded.processes import StartFailed, end, kill_tree

_PORT_TRIES = 5

Steps = tuple[tuple[signal.Signals, float], ...]


class EmbeddedServer:
    """A running server; ``stop`` or leaving the ``with`` block ends it, its data stays."""

    def __init__(
        self, *, folder: Path, port: int, process: subprocess.Popen[bytes], lock: FolderLock, ending: Steps
    ) -> None:
        self.folder = folder
        self.port = port
        self.process = process
        self._lock = lock
        self._ending = ending

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self.process.pid

    def stop(self) -> None:
        """Shut down cleanly, everything on disk. A server that has died is fine too."""
        end(self.process, self._ending)
        self._lock.release()

    def kill(self) -> None:
        """SIGKILL the server and all its processes, as a crash would; for tests of what survives."""
        kill_tree(self.pid)
        self.process.wait()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_on_a_port(
    program: str, port: int | None, start: Callable[[int], subprocess.Popen[bytes] | None]
) -> tuple[int, subprocess.Popen[bytes]]:
    """Start a server on the port it was told to use, or on a free one.

    Args:
        program: its name, for messages.
        port: the loopback port wanted; None takes a free one and tries again when someone is faster.
        start: starts the server on a port and waits for it; None says that the port was taken meanwhile.

    Raises:
        PortInUse: someone else listens on ``port``.
        StartFailed: every free port was taken before the server had it.
    """
    for _ in range(1 if port else _PORT_TRIES):
        candidate = port or ports.free_port()
        process = start(candidate) if ports.is_free(candidate) else None
        if process:
            return candidate, process
    if port:
        raise PortInUse(port, program)
    raise StartFailed(f"{program} lost {_PORT_TRIES} free ports in a row to other programs")
