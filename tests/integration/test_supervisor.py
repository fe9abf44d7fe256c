"""The supervisor: waits for each process, notices the one that dies, and leaves nothing behind."""

import os
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from cli.child import Child, State
from cli.marks import MARK, end_marked
from cli.readiness import answers, logged
from cli.supervisor import ChildDied, Stopped, Supervisor

SERVES = """
    import http.server, sys
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
RUNS = 'import time; print("ready", flush=True); time.sleep(300)'
IGNORES_SIGTERM = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
    time.sleep(300)
"""
HAS_A_CHILD_THAT_LEFT_THE_GROUP = """
    import subprocess, sys, time
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
    print("ready", flush=True)
    time.sleep(300)
"""
DIES_WHEN_READY = 'print("ready", flush=True); print("out of luck"); raise SystemExit(7)'


@pytest.fixture
def supervisor():
    made = Supervisor()
    yield made
    made.stop(patience=0)
    assert marked(made) == []


@pytest.fixture
def child(tmp_path):
    def make(name: str, code: str, *arguments: str, ready=None, **options) -> Child:
        script = tmp_path / f"{name}.py"
        script.write_text(textwrap.dedent(code))
        return Child(
            name=name,
            argv=[sys.executable, str(script), *arguments],
            env={},
            cwd=tmp_path,
            log=tmp_path / f"{name}.log",
            ready=ready or logged("ready"),
            **options,
        )

    return make


def marked(supervisor: Supervisor) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK, "").startswith(supervisor.mark) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def state_by_name(supervisor: Supervisor) -> dict[str, State]:
    return {row.name: row.state for row in supervisor.rows}


def test_a_process_is_ready_when_it_answers(supervisor, child, free_port):
    url = f"http://127.0.0.1:{free_port}/"
    supervisor.start([child("web", SERVES, str(free_port), ready=answers(url))])
    assert state_by_name(supervisor) == {"web": State.READY}
    supervisor.stop()
    assert state_by_name(supervisor) == {"web": State.STOPPED}
    assert marked(supervisor) == []


def test_a_process_starts_after_those_it_needs(supervisor, child):
    seen = []
    supervisor._show = lambda rows: seen.append({row.name: row.state for row in rows})
    supervisor.start([child("second", RUNS, after=("first",)), child("first", RUNS)])
    started = next(states for states in seen if states["second"] is State.STARTING)
    assert started["first"] is State.READY


def test_a_dying_process_is_named_with_its_code_and_its_last_words(supervisor, child):
    with pytest.raises(
        ChildDied, match=r"(?s)unlucky ended with exit code 7; the end of .*unlucky\.log:\n.*out of luck"
    ):
        until_something_dies(supervisor, child("steady", RUNS), child("unlucky", DIES_WHEN_READY))
    assert state_by_name(supervisor)["unlucky"] is State.DEAD


def test_a_process_killed_from_outside_is_named_with_the_signal(supervisor, child):
    supervisor.start([child("victim", RUNS)])
    os.kill(supervisor.rows[0].process.pid, 9)
    with pytest.raises(ChildDied, match="victim was killed by SIGKILL"):
        until_something_dies(supervisor)


def test_a_process_that_never_gets_ready_is_not_waited_for_for_ever(supervisor, child):
    with pytest.raises(ChildDied, match="idle was not ready after 0 s"):
        supervisor.start([child("idle", RUNS, ready=logged("never"), ready_seconds=0.2)])


def test_old_words_in_a_log_do_not_make_a_new_start_ready(supervisor, child, tmp_path):
    (tmp_path / "idle.log").write_text("ready\n")
    with pytest.raises(ChildDied, match="idle was not ready"):
        supervisor.start([child("idle", "import time; time.sleep(300)", ready_seconds=0.5)])


def test_one_that_ignores_the_request_is_killed_after_its_grace(supervisor, child):
    supervisor.start([child("stubborn", IGNORES_SIGTERM, grace_seconds=0.2)])
    supervisor.stop()
    assert supervisor.rows[0].process.returncode == -9


def test_what_left_the_process_group_is_ended_too(supervisor, child):
    supervisor.start([child("parent", HAS_A_CHILD_THAT_LEFT_THE_GROUP)])
    assert len(marked(supervisor)) == 2
    supervisor.stop()
    assert marked(supervisor) == []


def test_a_killed_process_goes_with_what_it_started_and_can_be_started_again(supervisor, child):
    again = child("service", HAS_A_CHILD_THAT_LEFT_THE_GROUP)
    supervisor.start([again, child("service-2", RUNS)])
    supervisor.kill("service")
    assert marked(supervisor) == [supervisor.rows[0].process.pid]
    supervisor.start([again])
    assert state_by_name(supervisor) == {"service-2": State.READY, "service": State.READY}


def test_a_request_to_stop_ends_a_wait(child):
    supervisor = Supervisor(stop_requested=lambda: True)
    with pytest.raises(Stopped):
        supervisor.start([child("idle", RUNS, ready=logged("never"))])
    supervisor.stop(patience=0)


def test_a_mark_of_a_dead_supervisor_finds_what_it_left(supervisor, child):
    supervisor.start([child("orphan", RUNS)])
    end_marked(supervisor.mark, seconds=10)
    assert marked(supervisor) == []
    assert marked(Supervisor()) == []


def until_something_dies(supervisor: Supervisor, *children: Child) -> None:
    supervisor.start(children)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        supervisor.pause()


@pytest.fixture
def free_port() -> int:
    from adapters.embedded.ports import free_port

    return free_port()


def test_the_log_of_a_process_is_private(supervisor, child, tmp_path: Path):
    supervisor.start([child("quiet", RUNS)])
    assert (tmp_path / "quiet.log").stat().st_mode & 0o777 == 0o600
