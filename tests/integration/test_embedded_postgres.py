"""The embedded PostgreSQL: durable over stops, kills and crashes of whoever started it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from adapters.embedded import place
from adapters.embedded.folder_lock import Locked
from adapters.embedded.ports import PortInUse
from adapters.embedded.postgres import EmbeddedPostgres, start_postgres
from adapters.embedded.processes import StartFailed

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder any account may enter, as a checkout below /home or /srv is."""
    home = Path(tempfile.mkdtemp(prefix="kairos-"))
    home.chmod(0o755)
    yield home / "postgres"
    place.remove(home / "postgres")
    shutil.rmtree(home)


def start(folder: Path, port: int | None = None) -> EmbeddedPostgres:
    return start_postgres(folder, log=folder.parent / "postgres.log", port=port)


def run(server: EmbeddedPostgres, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.admin_url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def processes_in(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == "postgres" and Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


def test_rows_survive_a_stop_and_nothing_is_left_running(folder):
    with start(folder) as server:
        run(server, "CREATE TABLE kept AS SELECT 7 AS number")
    assert processes_in(folder) == []
    with start(folder) as server:
        assert run(server, "SELECT number FROM kept") == [(7,)]


def test_committed_rows_survive_kill_9_and_the_server_returns_on_its_port(folder):
    server = start(folder)
    run(server, "CREATE TABLE kept AS SELECT 7 AS number")
    server.kill()
    assert processes_in(folder) == []
    with start(folder, port=server.port) as again:
        assert again.port == server.port
        assert run(again, "SELECT number FROM kept") == [(7,)]


def test_every_commit_is_synced_and_the_password_is_needed(folder):
    with start(folder) as server:
        names = ("fsync", "synchronous_commit", "full_page_writes")
        run(server, "ALTER SYSTEM SET fsync = off")
        run(server, "SELECT pg_reload_conf()")
        assert [run(server, f"SHOW {name}") for name in names] == [[("on",)]] * 3
        assert run(server, "SHOW timezone") == [("UTC",)]
        assert run(server, "SHOW listen_addresses") == [("127.0.0.1",)]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(host="127.0.0.1", port=server.port, user="kairos_admin", password="x", dbname="postgres")
        assert (server.folder / "cluster/password").stat().st_mode & 0o777 == 0o600


def test_a_second_start_names_who_holds_the_folder(folder):
    with start(folder), pytest.raises(Locked, match=f"process {os.getpid()}"):
        start(folder)


def test_a_pid_file_that_names_a_strangers_process_is_not_believed(folder):
    server = start(folder)
    server.kill()
    pid_file = server.folder / "cluster/data/postmaster.pid"
    account = {} if os.geteuid() else {"user": place.NOBODY}
    stranger = subprocess.Popen(["sleep", "60"], **account)
    try:
        pid_file.write_text(pid_file.read_text().replace(str(server.pid), str(stranger.pid)))
        start(folder).stop()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_unfinished_initdb_is_started_over(folder):
    half = folder / "cluster.new" / "data"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    folder.chmod(0o755)
    with start(folder) as server:
        assert run(server, "SELECT 1") == [(1,)]
    assert not half.exists()


def test_a_port_in_use_is_named(folder):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} .* wanted by PostgreSQL, is in use"):
            start(folder, port=port)


def test_a_server_that_cannot_start_says_why(folder):
    with start(folder) as server:
        data = server.folder / "cluster/data"
    (data / "postgresql.conf").write_text("shared_buffers = nonsense\n")
    with pytest.raises(StartFailed, match='invalid value for parameter "shared_buffers"'):
        start(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_a_killed_owner_leaves_no_server_and_loses_no_row(folder):
    owner, url = in_another_process(folder)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    orphans = processes_in(folder)
    assert orphans
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    _, alive = psutil.wait_procs(orphans, timeout=30)
    assert alive == []
    with start(folder) as server:
        assert run(server, "SELECT number FROM kept") == [(7,)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be kept out by a 0700 folder of root's")
def test_below_a_closed_folder_root_gets_a_server_outside_that_can_be_removed(folder):
    folder.parent.chmod(0o700)
    outside = place.outside_of(folder)
    with start(folder) as server:
        run(server, "CREATE TABLE kept AS SELECT 7 AS number")
        assert server.folder == outside
        assert psutil.Process(server.pid).uids().real == place.NOBODY
    with start(folder) as server:
        assert run(server, "SELECT number FROM kept") == [(7,)]
        assert folder.parent.stat().st_mode & 0o777 == 0o700
        server.discard()
    assert not outside.exists()
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a copy of the programs")
def test_root_gets_a_copy_of_programs_that_lie_below_a_closed_folder(folder, monkeypatch):
    packages = folder.parent / "closed"
    packages.mkdir(mode=0o700)
    wheel = place._wheel_folder()
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(part, packages / part.name, symlinks=True)
    monkeypatch.setattr(place, "_wheel_folder", lambda: packages / wheel.name)
    for _ in ("the copy is made", "the copy is used again"):
        with start(folder) as server:
            assert run(server, "SELECT 1") == [(1,)]
            assert Path(psutil.Process(server.pid).exe()).is_relative_to(server.folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user already")
def test_an_ordinary_user_needs_no_rights(folder):
    user = 1  # daemon, on every Unix
    os.chown(folder.parent, user, user)
    folder.parent.chmod(0o700)
    owner, url = in_another_process(folder, user=user, group=user, extra_groups=[])
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    assert {p.uids().real for p in processes_in(folder)} == {user}
    owner.communicate("stop\n", timeout=180)
    assert owner.returncode == 0
    assert processes_in(folder) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_user_without_a_name_is_told_what_postgres_needs(folder):
    os.chown(folder.parent, 12345, 12345)
    refused = owner_process(folder, user=12345, group=12345, extra_groups=[])
    _, said = refused.communicate(timeout=180)
    assert refused.returncode == 1
    assert "user id 12345 has no name on this machine" in said


OWNER = """
import sys
from pathlib import Path
from adapters.embedded.postgres import start_postgres
folder = Path(sys.argv[1])
server = start_postgres(folder, log=folder.parent / "postgres.log")
print(server.admin_url.replace("+psycopg", ""), flush=True)
sys.stdin.readline()
server.stop()
"""


def in_another_process(folder: Path, **account: object) -> tuple[subprocess.Popen[str], str]:
    owner = owner_process(folder, **account)
    url = owner.stdout.readline().strip()
    assert url, owner.communicate()[1]
    return owner, url


def owner_process(folder: Path, **account: object) -> subprocess.Popen[str]:
    packages = str(Path(psutil.__file__).parents[1])
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(
        [interpreter(account), "-c", OWNER, str(folder)],
        env={"PYTHONPATH": f"{ROOT}:{packages}", "PATH": os.environ["PATH"]},
        cwd="/",
        text=True,
        **pipes,
        **account,
    )


def interpreter(account: dict[str, object]) -> str:
    """A Python which that account may run: an environment below /root is closed to it."""
    script = "import sys, psutil, adapters.embedded.place; assert sys.version_info >= (3, 11)"
    path = f"{ROOT}:{Path(psutil.__file__).parents[1]}"
    for candidate in (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin")):
        with suppress(PermissionError, TypeError):
            if not subprocess.run(
                [candidate, "-c", script],
                env={"PYTHONPATH": path},
                cwd="/",
                capture_output=True,
                check=False,
                **account,
            ).returncode:
                return candidate
    pytest.skip("the checkout, its environment or every Python is closed to other users")
