"""Relay and consumer as the processes that ``kairos up`` runs."""

import json
import signal
import subprocess
from datetime import UTC, datetime

from adapters import heartbeat
from adapters.heartbeat import Doing
from tests.stream_world import PATIENCE_SECONDS, World, process, until


def lines(running: subprocess.Popen[str]) -> list[dict[str, object]]:
    """End a process by SIGTERM and return what it logged."""
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=PATIENCE_SECONDS)
    assert running.returncode == 0, said
    return [json.loads(line) for line in said.splitlines()]


def test_both_processes_do_their_work_and_end_cleanly(world: World) -> None:
    with process(world, "serving.relay") as relay, process(world, "serving.consumer") as consumer:
        until(lambda: doing(world, "relay") is Doing.WORKING, "the relay does not work")
        until(lambda: doing(world, "consumer") is Doing.WORKING, "the consumer does not work")
        world.ingest(["somebody-known-by-name"])
        until(lambda: world.waiting() == 0, "the event is not handled")
        beat = heartbeat.read(world.data_dir, "consumer")
        assert beat.is_alive(datetime.now(UTC))
        until(lambda: heartbeat.read(world.data_dir, "consumer").lag_seconds is not None, "the lag is not known")
        metrics = heartbeat.exposition(world.data_dir).decode()
        logged = {"relay": lines(relay), "consumer": lines(consumer)}
    assert world.differences(["somebody-known-by-name"]) == []
    assert "kairos_relay_published_total" in metrics
    assert "kairos_consumer_lag_seconds" in metrics
    for name, entries in logged.items():
        assert [entry["event"] for entry in entries if entry["event"].endswith((".ready", ".stopped"))] == [
            f"{name}.ready",
            f"{name}.stopped",
        ]
        assert heartbeat.read(world.data_dir, name).doing is Doing.STOPPED
    assert "somebody" not in json.dumps(logged) + metrics


def test_a_relay_that_starts_before_its_server_waits_says_so_once_and_goes_on(world: World) -> None:
    there = world.valkey
    world.ingest(["r1"])
    there.process.send_signal(signal.SIGSTOP)
    try:
        with process(world, "serving.relay") as relay:
            until(lambda: (problem(world, "relay") or "").startswith("Redis does not answer"), "nothing is said")
            there.process.send_signal(signal.SIGCONT)
            until(lambda: world.stream().length() >= 1, "nothing is published")
            events = [entry["event"] for entry in lines(relay)]
    finally:
        there.process.send_signal(signal.SIGCONT)
    assert events.count("relay.waiting") == 1
    assert events.index("relay.waiting") < events.index("relay.ready")


def test_a_process_that_knows_no_server_says_which_variable_is_missing(world: World) -> None:
    code = "import os; os.environ.pop('KAIROS_REDIS_URL')\nfrom serving import relay\nrelay.main()\n"
    with process(world, code) as relay:
        said, _ = relay.communicate(timeout=PATIENCE_SECONDS)
    assert relay.returncode == 2
    assert "KAIROS_REDIS_URL" in said


def doing(world: World, name: str) -> Doing | None:
    beat = heartbeat.read(world.data_dir, name)
    return beat.doing if beat else None


def problem(world: World, name: str) -> str | None:
    beat = heartbeat.read(world.data_dir, name)
    return beat.problem if beat else None
