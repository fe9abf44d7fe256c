"""The run file and the folder's lock: one owner, known by name, gone when it is gone."""

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from adapters.embedded import run_file
from adapters.embedded.folder_lock import FolderLock, Locked, holder
from adapters.embedded.run_file import BadRunFile, RunFile, RunningServer

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOLDS_THE_LOCK = """
import sys
from pathlib import Path
from adapters.embedded.folder_lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
"""


def a_run(tmp_path) -> RunFile:
    server = RunningServer(pid=1, port=5432, folder=tmp_path, url="postgresql+psycopg://admin:hidden@127.0.0.1:5432/x")
    return RunFile.ours(started_at=NOON, version="0.1.0", mark="m").model_copy(
        update={"postgres": server, "ports": {"api": 3000}}
    )


def test_what_was_written_is_read_back_and_only_its_owner_may(tmp_path):
    run_file.write(tmp_path, a_run(tmp_path))
    assert run_file.read(tmp_path) == run_file.live(tmp_path) == a_run(tmp_path)
    assert (tmp_path / "run.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_no_representation_shows_the_password(tmp_path):
    assert "hidden" not in repr(a_run(tmp_path))
    assert "hidden" in a_run(tmp_path).model_dump_json()


def test_a_dead_owners_file_is_stale(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    run_file.write(tmp_path, a_run(tmp_path).model_copy(update={"pid": dead.pid}))
    assert not run_file.read(tmp_path).owner_is_alive
    assert run_file.live(tmp_path) is None


def test_a_reused_pid_is_not_the_owner(tmp_path):
    run = a_run(tmp_path)
    assert not run.model_copy(update={"pid_started": run.pid_started - 60}).owner_is_alive


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', '{"pid": "x"}'])
def test_a_damaged_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(BadRunFile, match=r"run\.json is damaged or from another version"):
        run_file.read(tmp_path)


def test_no_file_means_nothing_runs(tmp_path):
    assert run_file.read(tmp_path) is None
    run_file.remove(tmp_path)


def test_a_held_lock_names_its_holder_and_dies_with_it(tmp_path):
    path = tmp_path / "lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDS_THE_LOCK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(Locked, match=f"in use by process {other.pid}") as refused:
        FolderLock(path)
    assert refused.value.pid == other.pid
    other.kill()
    other.communicate()
    assert holder(path) == other.pid
    with FolderLock(path):
        assert holder(path) == os.getpid()
    assert holder(path) is None
