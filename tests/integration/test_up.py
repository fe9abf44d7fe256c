"""``kairos up``, ``status`` and ``clean`` as a person or a script meets them: messages, exit codes, nothing left."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil
import psycopg
import pytest

from adapters.embedded import place, run_file
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.engine import Database
from adapters.postgres.roles import DatabaseUrls
from adapters.secrets import SecretBox
from adapters.settings import Settings, child_environment
from cli.exit_codes import ExitCode

IS_UP = "Kairos is up on"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder that does not exist yet."""
    return tmp_path / "data"


@pytest.fixture(scope="module")
def first_said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A data folder that was up once, and what it said then."""
    folder = tmp_path_factory.mktemp("up") / "data"
    with Up(folder) as up:
        up.end(signal.SIGTERM)
    yield folder, "".join(up.said)
    place.remove(folder / "postgres")


@pytest.fixture
def used_home(first_said: tuple[Path, str]) -> Path:
    """A data folder that was up before, as it mostly is."""
    return first_said[0]


def kairos(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.app", *arguments],
        env=child_environment({"KAIROS_DATA_DIR": str(home), **variables}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


class Up:
    """A running ``kairos up`` of the servers; killed at the end if it has not stopped."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli.app", "up", "--servers-only"],
            env=child_environment({"KAIROS_DATA_DIR": str(home), "PYTHONUNBUFFERED": "1"}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        self.said = []
        for line in self.process.stdout:
            self.said.append(line)
            if IS_UP in line:
                return self
        raise AssertionError(self.process.communicate()[1])

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        psutil.wait_procs(servers_of(self.home), timeout=30)

    def end(self, number: signal.Signals | None = None) -> tuple[int, str, str]:
        if number:
            self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=180)
        return self.process.returncode, out, errors


def servers_of(home: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            inside = (home.resolve(), place.outside_of(home / "postgres"))
            if any(Path(process.cwd()).is_relative_to(folder) for folder in inside):
                found.append(process)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_stop_ends_everything_with_0(used_home, number):
    with Up(used_home) as up:
        assert len(servers_of(used_home)) > 2
        code, out, errors = up.end(number)
    assert (code, errors) == (ExitCode.OK, "")
    assert "Kairos has stopped" in out
    assert servers_of(used_home) == []
    assert not (used_home / "run.json").exists()


def test_the_first_key_is_printed_once_and_works(first_said):
    home, said = first_said
    key = re.search(r"shown this once: (kai_\S+)", said)[1]
    box = SecretBox.of(Settings(data_dir=home))
    with Up(home) as again:
        run = run_file.live(home)
        database = Database(DatabaseUrls.embedded(run.postgres_admin_url.get_secret_value(), box).app)
        assert ApiKeys(database, box).find(key, now=run.started_at).tenant == "default"
        database.close()
        assert "kai_" not in "".join(again.said)
        again.end(signal.SIGTERM)


def test_a_second_up_is_refused_with_3_and_names_the_first(used_home):
    with Up(used_home) as up:
        second = kairos(used_home, "up", "--servers-only")
        assert second.returncode == ExitCode.ALREADY_RUNNING
        assert f"already running as pid {up.process.pid}" in second.stderr
        assert kairos(used_home, "clean", "--yes").returncode == ExitCode.ALREADY_RUNNING
        assert up.process.poll() is None


def test_status_knows_what_runs_and_what_does_not(used_home):
    nothing = kairos(used_home, "status")
    assert (nothing.returncode, nothing.stdout) == (ExitCode.NOT_RUNNING, "")
    with Up(used_home) as up:
        asked = kairos(used_home, "status", "--json")
        assert asked.returncode == ExitCode.OK
        answer = json.loads(asked.stdout)
        assert answer["pid"] == up.process.pid
        assert [(p["name"], p["is_well"]) for p in answer["processes"]] == [("postgres", True), ("valkey", True)]
        assert "redis://" not in asked.stdout
        up.process.kill()
        up.process.wait()
        stale = kairos(used_home, "status")
    assert stale.returncode == ExitCode.NOT_RUNNING
    assert f"its last owner, process {up.process.pid}, died" in stale.stderr


def test_a_killed_up_is_taken_over_with_its_data(used_home):
    with Up(used_home) as up:
        url = run_file.live(used_home).postgres_admin_url.get_secret_value().replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept_by_up AS SELECT 7 AS number")
        up.end(signal.SIGKILL)
    assert (used_home / "run.json").exists()
    with Up(used_home) as again:
        url = run_file.live(used_home).postgres_admin_url.get_secret_value().replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT number FROM kept_by_up").fetchall() == [(7,)]
        again.end(signal.SIGTERM)
    assert servers_of(used_home) == []


def test_a_server_that_dies_stops_everything_with_1_and_is_named(used_home):
    with Up(used_home) as up:
        os.kill(run_file.live(used_home).valkey.pid, signal.SIGKILL)
        code, _, errors = up.end()
    assert code == ExitCode.FAILED
    assert "valkey was killed by SIGKILL; the end of" in errors
    assert "Ready to accept connections" in errors
    assert servers_of(used_home) == []


def test_a_port_in_use_is_refused_with_4_before_anything_starts(home):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        refused = kairos(home, "up", KAIROS_API_PORT=str(port))
    assert refused.returncode == ExitCode.PORT_IN_USE
    assert f"port {port} on 127.0.0.1, wanted by api, is in use" in refused.stderr
    assert "KAIROS_API_PORT" in refused.stderr
    assert not (home / "postgres").exists()


def test_a_folder_that_cannot_be_used_is_refused_with_5(home):
    missing = kairos(home / "below", "up")
    assert missing.returncode == ExitCode.BAD_FOLDER
    assert f"the data folder {home / 'below'} cannot be used (No such file or directory)" in missing.stderr
    home.write_text("a file")
    assert kairos(home, "up").returncode == ExitCode.BAD_FOLDER
    assert home.read_text() == "a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused_with_5(home):
    home.mkdir(mode=0o500)
    refused = kairos(home, "up")
    assert refused.returncode == ExitCode.BAD_FOLDER
    assert "Permission denied" in refused.stderr


@pytest.mark.parametrize("command", [("up",), ("clean", "--yes")])
def test_somebody_elses_folder_is_neither_used_nor_deleted(home, command):
    home.mkdir()
    (home / "thesis.txt").write_text("the only copy")
    refused = kairos(home, *command)
    assert refused.returncode == ExitCode.BAD_FOLDER
    assert "holds other things than Kairos" in refused.stderr
    assert [path.name for path in home.iterdir()] == ["thesis.txt"]


def test_clean_deletes_the_folder_and_what_lies_outside_for_it_right_after_a_kill(home):
    with Up(home) as up:
        outside = place.outside_of(home / "postgres")
        up.end(signal.SIGKILL)
        assert kairos(home, "clean", "--yes").returncode == ExitCode.OK
        assert servers_of(home) == []
    assert not home.exists()
    assert not outside.exists()
    assert kairos(home, "clean", "--yes").returncode == ExitCode.OK


def test_a_misspelt_setting_is_refused_with_2(home):
    refused = kairos(home, "up", KAIROS_API_PROT="3000")
    assert refused.returncode == ExitCode.USAGE
    assert "KAIROS_API_PROT" in refused.stderr
    assert "Traceback" not in refused.stderr
