"""The whole stack: every process comes up ready on loopback, hides its passwords, and is gone afterwards."""

import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from adapters.settings import Settings
from cli import services
from cli.child import State
from cli.marks import MARK
from cli.readiness import status_of
from cli.screen import Screen
from cli.stack import Stack
from cli.status import survey
from cli.supervisor import ChildDied

RECOVERY_SECONDS = 180.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("stack") / "data")
    with Stack(settings, screen=Screen(), free_ports=True) as running:
        running.start_servers()
        running.start_services()
        yield running
        everything = processes_of(running)
        running.close()
        assert [process for process in everything if process.is_running()] == []
        running.discard()
    assert not settings.data_dir.exists()


def well(stack: Stack) -> dict[str, bool]:
    return {health.name: health.is_well for health in survey(stack.home, stack.run)}


def processes_of(stack: Stack) -> list[psutil.Process]:
    tops = [psutil.Process(row.process.pid) for row in stack.supervisor.rows if row.process]
    return [process for top in tops for process in (top, *top.children(recursive=True))]


def listened_to(process: psutil.Process) -> list[str]:
    try:
        return [c.laddr.ip for c in process.net_connections("inet") if c.status == "LISTEN"]
    except psutil.NoSuchProcess:  # a backend that served one connection
        return []


def test_everything_is_ready_and_says_so_itself(stack):
    assert {row.name: row.state for row in stack.supervisor.rows} == dict.fromkeys(
        ["postgres", "valkey", *services.ALL], State.READY
    )
    # Another test may have killed a store just before: relay and consumer then wait for their next try.
    everything = dict.fromkeys(["postgres", "valkey", *services.ALL], True)
    deadline = time.monotonic() + RECOVERY_SECONDS
    while (found := well(stack)) != everything and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found == everything


def test_everything_listens_on_loopback_only(stack):
    listening = [address for process in processes_of(stack) for address in listened_to(process)]
    assert len(listening) >= 6
    assert set(listening) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}


def test_no_command_line_and_no_open_file_shows_a_password(stack):
    endpoints = stack.endpoints.databases
    secret = [
        endpoints.platform_role.password,
        endpoints.app_role.password,
        stack.run.postgres_admin_url.get_secret_value().split(":")[2].split("@")[0],
        stack.run.redis_url.get_secret_value().split(":")[2].split("@")[0],
    ]
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert [line for line in lines for word in secret if word in line] == []
    for path in (path for path in stack.home.rglob("*") if path.is_file()):
        if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            assert not [word for word in secret if word.encode() in path.read_bytes()], path


def test_dagster_serves_our_one_code_location_from_postgres(stack):
    query = "{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus } } } }"
    answer = httpx.post(f"{stack.endpoints.dagster_url}/graphql", json={"query": query}, timeout=30)
    entries = answer.json()["data"]["workspaceOrError"]["locationEntries"]
    assert entries == [{"name": "kairos", "loadStatus": "LOADED"}]
    instance = yaml.safe_load((stack.home / "dagster/dagster.yaml").read_text())
    assert instance["storage"]["postgres"]["postgres_url"].startswith("postgresql+psycopg2://")
    assert instance["telemetry"] == {"enabled": False}


def test_a_killed_service_is_noticed_and_can_be_started_again_on_its_port(stack):
    before = stack.endpoints.api_url
    victim = next(row.process for row in stack.supervisor.rows if row.name == services.API)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    with pytest.raises(ChildDied, match="api was killed by SIGKILL"):
        stack.supervisor.check()
    stack.kill(services.API)
    stack.start_services([services.API])
    assert stack.endpoints.api_url == before
    assert status_of(f"{before}/healthz") == 200


def test_a_killed_postgres_comes_back_on_its_port_under_the_running_services(stack):
    port, api = stack.run.postgres.port, stack.endpoints.api_url
    stack.kill("postgres")
    assert status_of(f"{api}/readyz") == 503
    stack.start_servers()
    assert stack.run.postgres.port == port
    assert status_of(f"{api}/readyz") == 200
    stack.supervisor.check()


def test_every_process_of_ours_carries_the_mark_and_no_telemetry(stack):
    for row in stack.supervisor.rows:
        if row.child:
            environment = psutil.Process(row.process.pid).environ()
            assert environment[MARK] == f"{stack.run.mark}/{row.name}"
            assert environment["DO_NOT_TRACK"] == "true"
            assert Path(environment["KAIROS_DATA_DIR"]) == stack.home
