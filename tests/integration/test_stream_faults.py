"""Whatever happens to stream and workers, nothing acknowledged is lost and features come out as a recomputation."""

import itertools
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from adapters.embedded.valkey import EmbeddedValkey, start_valkey
from adapters.postgres.dead_letters import DeadLetters
from adapters.redis import keys
from adapters.redis.client import connect
from adapters.redis.streams import GROUP, StreamUnavailable
from feature_repo.engagement.transform import from_events
from serving import relay as relay_module
from serving.consumer import Consumer
from tests.stream_world import PATIENCE_SECONDS, World, process

RECIPIENTS = [f"r{number}" for number in range(12)]
STREAM = keys.ENGAGEMENT_STREAM

DISASTERS: dict[str, Callable[[object], object]] = {
    "FLUSHALL": lambda redis: redis.flushall(),
    "DEL stream": lambda redis: redis.delete(STREAM),
    "DEL epoch": lambda redis: redis.delete(keys.epoch(STREAM)),
    "XGROUP DESTROY": lambda redis: redis.xgroup_destroy(STREAM, GROUP),
    "DEL everything of ours but features": lambda redis: redis.delete(
        STREAM, keys.epoch(STREAM), keys.attempts(STREAM), keys.rebuilt(STREAM)
    ),
}


@pytest.mark.parametrize("disaster", DISASTERS)
def test_a_stream_that_is_emptied_at_any_point_loses_nothing(world: World, disaster: str) -> None:
    relay, consumer = world.relay(), world.consumer()
    redis = connect(world.valkey.url, timeout_ms=2000)
    done = set()
    for stage in itertools.count():
        world.ingest(RECIPIENTS[stage % 3 :: 3])
        steps = [relay.step, lambda: consumer_step(consumer, relay), relay.step, lambda: None]
        for number, step in enumerate(steps):
            step()
            if number == stage:
                DISASTERS[disaster](redis)
                done.add(stage)
        if stage not in done:
            break
    redis.close()
    relay.step()
    world.drain(relay, consumer)
    assert world.differences(RECIPIENTS) == []
    assert len(done) == 4


def consumer_step(consumer: Consumer, relay: relay_module.Relay) -> None:
    """Step once; a stream that has just lost its group is made anew by the relay."""
    try:
        consumer.step()
    except StreamUnavailable:
        relay.step()
        consumer.step()


def test_entries_that_somebody_trimmed_are_found_missing_and_published_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "AUDIT_SECONDS", 0.0)
    relay, consumer = world.started_relay(), world.consumer()
    world.ingest(RECIPIENTS)
    relay.step()
    with connect(world.valkey.url, timeout_ms=2000) as redis:
        world.stream().read("somebody", count=4, block_ms=10)
        assert redis.xtrim(STREAM, maxlen=0, approximate=False) == len(RECIPIENTS)
    relay.step()
    world.drain(relay, consumer)
    assert relay.counts.recovered == len(RECIPIENTS)
    assert world.differences(RECIPIENTS) == []


@pytest.fixture
def mortal_valkey(tmp_path: Path) -> Iterator[Callable[..., EmbeddedValkey]]:
    """Start a Valkey of the test's own, again on the same port when asked again."""
    servers: list[EmbeddedValkey] = []

    def start() -> EmbeddedValkey:
        port = servers[-1].port if servers else None
        servers.append(start_valkey(tmp_path / "mortal", log=tmp_path / "log", port=port))
        return servers[-1]

    yield start
    servers[-1].stop()


@pytest.mark.parametrize("comes_back", ["full", "empty"])
def test_a_killed_server_that_comes_back_full_or_empty_loses_nothing(
    world: World, mortal_valkey: Callable[..., EmbeddedValkey], comes_back: str
) -> None:
    world.move_to(mortal_valkey())
    relay, consumer = world.started_relay(), world.consumer()
    world.ingest(RECIPIENTS[:6])
    world.drain(relay, consumer)
    world.ingest(RECIPIENTS[4:])
    relay.step()
    world.valkey.kill()
    for step in (relay.step, consumer.step):
        with pytest.raises(StreamUnavailable):
            step()
    world.ingest(RECIPIENTS[:2])
    if comes_back == "empty":
        shutil.rmtree(world.valkey.folder / "appendonlydir")
    world.valkey = mortal_valkey()
    relay.step()
    world.drain(relay, consumer)
    assert world.differences(RECIPIENTS) == []


def test_a_server_that_comes_back_as_it_was_a_moment_ago_loses_nothing(
    world: World, mortal_valkey: Callable[..., EmbeddedValkey], tmp_path: Path
) -> None:
    """A power cut costs what was not yet on disk, and nothing in the server tells of it."""
    world.move_to(mortal_valkey())
    relay, consumer = world.started_relay(), world.consumer()
    log = world.valkey.folder / "appendonlydir"
    shutil.copytree(log, tmp_path / "a moment ago")
    world.ingest(RECIPIENTS[:6])
    world.drain(relay, consumer)
    world.ingest(RECIPIENTS[6:])
    relay.step()
    world.valkey.kill()
    shutil.rmtree(log)
    shutil.copytree(tmp_path / "a moment ago", log)
    world.valkey = mortal_valkey()
    relay.step()
    world.drain(relay, consumer)
    assert world.differences(RECIPIENTS) == []


def test_a_stopped_server_is_waited_for_and_not_hung_on(world: World) -> None:
    relay, consumer = world.started_relay(), world.consumer()
    world.ingest(RECIPIENTS)
    relay.step()
    os.kill(world.valkey.pid, signal.SIGSTOP)
    try:
        for step in (relay.step, consumer.step):
            with pytest.raises(StreamUnavailable, match="does not answer"):
                step()
    finally:
        os.kill(world.valkey.pid, signal.SIGCONT)
    world.drain(relay, consumer)
    assert world.differences(RECIPIENTS) == []


DYING_CONSUMER = """
import os, signal
from adapters.settings import load_settings
from serving import consumer, stream_wiring
def die(point):
    if point == {point!r}:
        os.kill(os.getpid(), signal.SIGKILL)
with stream_wiring.open_stream(load_settings()) as parts, stream_wiring.feature_store(parts) as store:
    worker = consumer.consumer_of(parts, store, name="mortal")
    worker._fault = die
    for _ in range(50):
        worker.step()
"""


@pytest.mark.parametrize("point", ["received", "written", "settled", "acknowledged"])
def test_a_consumer_killed_between_effect_and_acknowledgement_loses_nothing(world: World, point: str) -> None:
    relay = world.started_relay()
    world.ingest(RECIPIENTS)
    relay.step()
    with process(world, DYING_CONSUMER.format(point=point)) as dying:
        assert dying.wait(PATIENCE_SECONDS) == -signal.SIGKILL, dying.stdout.read()
    world.ingest(RECIPIENTS[:3])
    consumer = world.consumer()
    world.drain(relay, consumer)
    assert world.differences(RECIPIENTS) == []
    assert world.store.online(world.tenant.tenant, ["r0", "r5"])["app_opened_count_1d"] == [2, 1]
    assert consumer.counts.dead == 0


DYING_RELAY = """
import os, signal
from adapters.settings import load_settings
from serving import relay, stream_wiring
with stream_wiring.open_stream(load_settings()) as parts:
    append = parts.stream.append
    parts.outbox.tenants = lambda: [{tenant!r}]  # another test's rows must not be what it dies of
    def append_and_die(messages):
        append(messages)
        os.kill(os.getpid(), signal.SIGKILL)
    parts.stream.append = append_and_die
    worker = relay.relay_of(parts)
    for _ in range(50):
        worker.step()
"""


def test_a_relay_killed_between_publishing_and_marking_loses_nothing_and_counts_nothing_twice(world: World) -> None:
    relay, consumer = world.started_relay(), world.consumer()
    world.ingest(RECIPIENTS)
    with process(world, DYING_RELAY.format(tenant=world.tenant.tenant)) as dying:
        assert dying.wait(PATIENCE_SECONDS) == -signal.SIGKILL, dying.stdout.read()
    assert world.stream().length() >= len(RECIPIENTS)
    world.drain(relay, consumer)
    assert world.differences(RECIPIENTS) == []
    assert world.store.online(world.tenant.tenant, ["r0"])["app_opened_count_1d"] == [1]


class Killed(BaseException):
    """Ends a consumer as SIGKILL would: nothing of ours catches it."""


def test_a_message_that_kills_every_process_becomes_a_dead_letter_and_its_neighbours_do_not(world: World) -> None:
    def compute(events: pd.DataFrame, moments: pd.DataFrame) -> pd.DataFrame:
        if "r5" in set(moments["recipient_id"]):
            raise Killed
        return from_events(events, moments)

    relay = world.started_relay()
    world.ingest(RECIPIENTS)
    relay.step()
    deaths = 0
    while world.waiting():
        try:
            consumer = world.consumer(compute=compute)
            while world.waiting():
                consumer.step()
        except Killed:
            deaths += 1
        assert deaths < 20
    letters = DeadLetters(world.database).newest(world.tenant, actor="test")
    assert [b'"key": "r5"' in letter.raw for letter in letters] == [True]
    assert world.differences([recipient for recipient in RECIPIENTS if recipient != "r5"]) == []
    assert 5 <= deaths <= 6
