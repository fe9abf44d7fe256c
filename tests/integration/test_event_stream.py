"""What the stream and the outbox promise each other, on real servers."""

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from adapters.postgres.dead_letters import DeadLetters
from adapters.postgres.engine import Database, Unavailable, driver_url
from adapters.postgres.outbox import EVENTS, REBUILD, Outbox, OutboxRow
from adapters.redis import keys
from adapters.redis.client import connect
from adapters.redis.streams import GROUP, EventStream, Message, StreamUnavailable
from tests.stream_world import World

STREAM = keys.ENGAGEMENT_STREAM
NOON = datetime(2018, 1, 1, 12, tzinfo=UTC)


def message(number: int = 1, key: str = "r1") -> Message:
    return Message(tenant="t", outbox_id=number, topic=EVENTS, key=key, occurred_at=NOON)


def bare(found: list[Message]) -> list[tuple[int, str]]:
    return [(each.outbox_id, each.key) for each in found]


def test_the_epoch_stays_until_something_is_missing(world: World) -> None:
    stream, redis = world.stream(), connect(world.valkey.url, timeout_ms=2000)
    epochs = [stream.epoch()]
    assert stream.epoch() == world.stream().epoch() == epochs[0]
    for loss in (
        lambda: redis.delete(STREAM),
        lambda: redis.delete(keys.epoch(STREAM)),
        lambda: redis.xgroup_destroy(STREAM, GROUP),
        redis.flushall,
    ):
        loss()
        epochs.append(stream.epoch())
    assert len(set(epochs)) == len(epochs)
    redis.close()


def test_a_group_made_anew_starts_with_what_already_waits(world: World) -> None:
    stream = world.stream()
    stream.append([message(1), message(2)])
    stream.epoch()
    assert bare(stream.read("c", count=10, block_ms=10)) == [(1, "r1"), (2, "r1")]


def test_every_field_survives_and_acknowledged_messages_leave_the_stream(world: World) -> None:
    stream = world.stream()
    stream.epoch()
    sent = [message(1, "r:1 ü\n"), message(2)]
    stream.append(sent)
    found = stream.read("c", count=10, block_ms=10)
    assert [(m.tenant, m.outbox_id, m.topic, m.key, m.occurred_at) for m in found] == [
        (m.tenant, m.outbox_id, m.topic, m.key, m.occurred_at) for m in sent
    ]
    stream.acknowledge(found[:1])
    assert stream.length() == 1
    assert bare(list(stream.claim("d", idle_ms=0, count=10).messages)) == [(2, "r1")]


def test_what_is_in_work_is_claimed_only_after_a_while(world: World) -> None:
    stream = world.stream()
    stream.epoch()
    stream.append([message()])
    stream.read("c", count=10, block_ms=10)
    assert stream.claim("d", idle_ms=60_000, count=10).messages == ()
    assert len(stream.claim("d", idle_ms=0, count=10).messages) == 1


def test_trimmed_entries_are_reported_when_they_are_claimed(world: World) -> None:
    stream = world.stream()
    stream.epoch()
    stream.append([message(1), message(2)])
    stream.read("c", count=10, block_ms=10)
    with connect(world.valkey.url, timeout_ms=2000) as redis:
        redis.xtrim(STREAM, maxlen=1, approximate=False)
    claimed = stream.claim("d", idle_ms=0, count=10)
    assert (bare(list(claimed.messages)), claimed.vanished) == ([(2, "r1")], 1)


@pytest.mark.parametrize(
    "fields", [{"a": "b"}, {"tenant": "t", "outbox_id": "x", "topic": "", "key": "", "occurred_at": ""}]
)
def test_an_entry_that_is_not_ours_is_removed_and_the_rest_delivered(world: World, fields: dict[str, str]) -> None:
    stream = world.stream()
    stream.epoch()
    with connect(world.valkey.url, timeout_ms=2000) as redis:
        redis.xadd(STREAM, fields)
    stream.append([message()])
    assert bare(stream.read("c", count=10, block_ms=10)) == [(1, "r1")]
    assert stream.length() == 1


def test_attempts_count_per_message_and_end_with_it(world: World) -> None:
    stream = world.stream()
    stream.epoch()
    stream.append([message(1), message(2)])
    first, second = stream.read("c", count=10, block_ms=10)
    stream.count_attempt([first])
    stream.count_attempt([first, second])
    assert stream.attempts([second, first]) == [1, 2]
    stream.acknowledge([first])
    assert stream.attempts([second, first]) == [1, 0]


def test_a_full_stream_has_no_room(world: World) -> None:
    stream = world.stream(max_length=2)
    stream.epoch()
    assert stream.room() == 2
    stream.append([message(1), message(2), message(3)])
    assert stream.room() == 0


CALLS: list[Callable[[object], object]] = [
    lambda stream: stream.epoch(),
    lambda stream: stream.length(),
    lambda stream: stream.append([message()]),
    lambda stream: stream.read("c", count=1, block_ms=1),
    lambda stream: stream.claim("c", idle_ms=0, count=1),
    lambda stream: stream.acknowledge([Message("t", 1, EVENTS, "r", NOON, "1-1")]),
    lambda stream: stream.attempts([message()]),
    lambda stream: stream.count_attempt([message()]),
    lambda stream: stream.rebuilt_for("t"),
    lambda stream: stream.mark_rebuilt("t", "e"),
]


def test_a_server_that_does_not_answer_is_a_typed_failure_for_every_call(world: World) -> None:
    stream = EventStream(connect(world.valkey.url, timeout_ms=50))
    stream.epoch()
    os.kill(world.valkey.pid, signal.SIGSTOP)
    try:
        for call in CALLS:
            started = time.monotonic()
            with pytest.raises(StreamUnavailable):
                call(stream)
            assert time.monotonic() - started < 2
    finally:
        os.kill(world.valkey.pid, signal.SIGCONT)


def test_reading_without_a_group_is_a_failure_that_the_epoch_repairs(world: World) -> None:
    stream = world.stream()
    with pytest.raises(StreamUnavailable, match="NOGROUP"):
        stream.read("c", count=1, block_ms=1)
    stream.epoch()
    assert stream.read("c", count=1, block_ms=1) == []


def sent_by(world: World, epoch: str, *, topic: str = EVENTS, limit: int = 100) -> list[OutboxRow]:
    sent: list[OutboxRow] = []
    world.outbox.publish(world.tenant.tenant, topic, epoch=epoch, limit=limit, send=sent.extend)
    return sent


def test_rows_are_sent_oldest_first_once_per_epoch(world: World) -> None:
    world.ingest(["a", "b", "c"])
    assert [row.key for row in sent_by(world, "e1", limit=2)] == ["a", "b"]
    assert [row.key for row in sent_by(world, "e1")] == ["c"]
    assert sent_by(world, "e1") == []
    assert [row.key for row in sent_by(world, "e2")] == ["a", "b", "c"]


def test_a_failed_send_marks_nothing(world: World) -> None:
    def fail(_rows: list[OutboxRow]) -> None:
        raise StreamUnavailable("away")

    world.ingest(["a"])
    with pytest.raises(StreamUnavailable):
        world.outbox.publish(world.tenant.tenant, EVENTS, epoch="e1", limit=9, send=fail)
    assert [row.key for row in sent_by(world, "e1")] == ["a"]


def test_two_relays_at_once_send_different_rows(world: World) -> None:
    world.ingest(["a", "b"])
    inner: list[OutboxRow] = []

    def send(_rows: list[OutboxRow]) -> None:
        inner.extend(sent_by(world, "e1"))

    world.outbox.publish(world.tenant.tenant, EVENTS, epoch="e1", limit=1, send=send)
    assert [row.key for row in inner] == ["b"]


def test_a_settled_row_is_gone_and_the_moment_of_an_event_travels_with_it(world: World) -> None:
    moment = world.now() - timedelta(days=3)
    world.ingest(["a"], at=moment)
    world.ingest(["b"])
    first, second = sent_by(world, "e1")
    assert first.occurred_at == moment
    world.outbox.settle(world.tenant.tenant, [first.outbox_id])
    assert list(world.outbox.present(world.tenant.tenant, [first.outbox_id, second.outbox_id])) == [second.outbox_id]


@pytest.mark.parametrize("payload", [{}, {"occurred_at": None}, {"occurred_at": "noon"}, {"occurred_at": 3}])
def test_a_row_without_a_moment_counts_as_happened_when_it_was_committed(payload: dict[str, object]) -> None:
    assert OutboxRow(1, EVENTS, "a", payload, NOON).occurred_at == NOON


def test_nobody_touches_another_tenants_rows(world: World) -> None:
    world.ingest(["a"])
    (row,) = sent_by(world, "e1")
    outbox = world.outbox
    assert outbox.present("t_other", [row.outbox_id]) == {}
    outbox.settle("t_other", [row.outbox_id])
    outbox.bury(world.tenant.model_copy(update={"tenant": "t_other"}), [row], expected="nothing")
    assert outbox.forget("t_other", epoch="e1") == 0
    assert outbox.backlog(world.tenant.tenant).waiting == 1


def test_a_refill_queues_each_recent_recipient_once(world: World) -> None:
    now = world.now()
    world.ingest(["a", "b", "a"])
    world.ingest(["old"], at=now - timedelta(days=91))
    for expected in (2, 0):
        assert world.outbox.refill(world.tenant.tenant, since=now - timedelta(days=90)) == expected
    assert sorted(row.key for row in sent_by(world, "e1", topic=REBUILD)) == ["a", "b"]


def test_two_consumers_that_give_up_together_write_one_letter(world: World) -> None:
    world.ingest(["a"])
    rows = sent_by(world, "e1")
    for _ in range(2):
        world.outbox.bury(world.tenant, rows, expected="features")
    assert len(DeadLetters(world.database).newest(world.tenant, actor="test")) == 1
    assert world.waiting() == 0


def test_the_backlog_tells_how_much_waits_and_since_when(world: World) -> None:
    empty = world.outbox.backlog(world.tenant.tenant)
    assert (empty.waiting, empty.oldest_at) == (0, None)
    before = datetime.now(UTC)
    world.ingest(["a", "b"])
    backlog = world.outbox.backlog(world.tenant.tenant)
    assert backlog.waiting == 2
    assert before <= backlog.oldest_at <= datetime.now(UTC)


def test_a_database_that_is_away_is_a_typed_failure(world: World) -> None:
    away = Database(driver_url(world.databases.app).set(port=1).render_as_string(hide_password=False))
    with pytest.raises(Unavailable):
        Outbox(away).tenants()
    away.close()
