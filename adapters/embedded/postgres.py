"""The embedded PostgreSQL 18: a real server on loopback, durable to the last acknowledged commit.

It listens on TCP with a generated password only (scram-sha-256, no sockets), syncs every commit, and survives
kill -9 of itself or of us. A folder has one server: a second start is refused, a stray one is stopped.
"""

import os
import secrets
import shutil
import signal
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path

from adapters.embedded import place as places
from adapters.embedded import ports
from adapters.embedded.folder_lock import FolderLock
from adapters.embedded.place import Place
from adapters.embedded.processes import StartFailed, end, end_strays, size, spawn, tail, wait_until
from adapters.embedded.server import EmbeddedServer, start_on_a_port

ADMIN = "kairos_admin"
READY_SECONDS = 120.0
"""Longest wait for a start; recovery of a full 1 GB of log after a kill needs less."""
_STOP = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0))  # fast, then immediate shutdown (PostgreSQL 18, section 18.5)
_SETTINGS = {
    "listen_addresses": ports.LOOPBACK,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "cluster_name": "kairos",
}
"""On the command line, where neither a file nor ALTER SYSTEM can weaken them."""


class EmbeddedPostgres(EmbeddedServer):
    """A running PostgreSQL; ``folder`` is where its data really is."""

    def __init__(
        self, folder: Path, place: Place, port: int, process: subprocess.Popen[bytes], lock: FolderLock
    ) -> None:
        super().__init__(folder=place.home, port=port, process=process, lock=lock, ending=_STOP)
        self._folder = folder
        self._password = (place.cluster / "password").read_text().strip()

    @property
    def admin_url(self) -> str:
        """URL of the superuser on the database ``postgres``; holds the password."""
        return f"postgresql+psycopg://{ADMIN}:{self._password}@{ports.LOOPBACK}:{self.port}/postgres"

    def discard(self) -> None:
        """Stop and delete the server with all its data, wherever they are."""
        self.stop()
        places.remove(self._folder)


def start_postgres(folder: Path, *, log: Path, port: int | None = None) -> EmbeddedPostgres:
    """Start the server that belongs to a folder, making its data on the first call.

    Args:
        folder: where it lives; made when missing. As root the data may have to live elsewhere: see ``.folder``.
        log: file the server's messages are appended to.
        port: loopback port to listen on; None takes a free one.

    Raises:
        Locked: a live process already runs the folder's server.
        PortInUse: someone else listens on ``port``.
        StartFailed: the server did not come up; the message ends with its log.
    """
    folder, log = folder.resolve(), log.resolve()
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    lock = FolderLock(folder / "lock")
    try:
        place = places.find(folder)
        _require_ours(place)
        _end_leftover(place.cluster / "data")
        if not place.cluster.exists():
            _make_cluster(place, log)
        started_on, process = start_on_a_port("PostgreSQL", port, partial(_start, place, log))
        return EmbeddedPostgres(folder, place, started_on, process, lock)
    except BaseException:
        lock.release()
        raise


def end_leftovers(folder: Path) -> None:
    """End what a killed owner left running for a folder, wherever its data is.

    Raises:
        Locked: a live process runs the folder's server.
    """
    if folder.exists():
        with FolderLock(folder / "lock"):
            for home in (folder, places.outside_of(folder)):
                _end_leftover((home / places.CLUSTER / "data").resolve())


def _require_ours(place: Place) -> None:
    if place.cluster.exists() and not os.access(place.cluster, os.R_OK | os.W_OK | os.X_OK):
        owner = place.cluster.stat().st_uid
        raise StartFailed(f"{place.cluster} belongs to user id {owner}: start as that user or as root")


def _end_leftover(data: Path) -> None:
    """Clear what a killed owner left: nobody else holds the folder's lock, so its processes are strays."""
    pid_file = data / "postmaster.pid"
    if not pid_file.exists():
        return
    # SIGINT ends a postmaster in order and only cancels a query of a backend; the rest is for SIGKILL.
    end_strays("postgres", cwd=data, number=signal.SIGINT, seconds=10)
    # Its pid may by now be another program's, and the server would refuse to start. Safe only because no process
    # of the old server is left: the file is also what guards its shared memory.
    pid_file.unlink(missing_ok=True)


def _make_cluster(place: Place, log: Path) -> None:
    """Run initdb beside the final name and rename, so a cluster is whole or absent."""
    unfinished = place.home / f"{places.CLUSTER}.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    password = unfinished / "password"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(32))
    if place.account:
        for path in (unfinished, password):
            os.chown(path, place.account.uid, place.account.gid)
    offset = size(log)
    argv: list[str | Path] = [
        place.install / "bin/initdb",
        "-D",
        unfinished / "data",
        "-U",
        ADMIN,
        f"--pwfile={password}",
    ]
    argv += ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-instructions"]
    argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    process = spawn(argv, cwd=unfinished, log=log, env=_environment(unfinished), account=place.account)
    try:
        code = process.wait()
    finally:
        end(process, ())
    if code != 0:
        raise StartFailed(f"PostgreSQL could not make its data in {place.home}:\n{tail(log, since=offset)}")
    unfinished.rename(place.cluster)
    _sync(place.home)


def _start(place: Place, log: Path, port: int) -> subprocess.Popen[bytes] | None:
    """Start on a port; None when someone took it in between."""
    data = place.cluster / "data"
    argv: list[str | Path] = [place.install / "bin/postgres", "-D", data, "-c", f"port={port}"]
    for name, setting in _SETTINGS.items():
        argv += ["-c", f"{name}={setting}"]
    offset = size(log)
    process = spawn(argv, cwd=data, log=log, env=_environment(data), account=place.account, death_signal=signal.SIGINT)
    try:
        ready = wait_until(lambda: _is_ready(data, process.pid), process, seconds=READY_SECONDS)
    except BaseException:
        end(process, _STOP)
        raise
    if ready:
        return process
    code = end(process, _STOP)
    said = tail(log, since=offset)
    if "could not bind" in said:
        return None
    raise StartFailed(f"PostgreSQL did not start (exit code {code}); the end of {log}:\n{said}")


def _is_ready(data: Path, pid: int) -> bool:
    """Read what the postmaster says of itself, as pg_ctl does: pid on the first line, state on the last."""
    with suppress(FileNotFoundError, ValueError):
        first, *_, state = (data / "postmaster.pid").read_text().splitlines()
        return first == str(pid) and state.strip() == "ready"
    return False


def _environment(home: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"}


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
