"""Outbox to stream to online features, on real servers."""

import time
from datetime import timedelta

import pandas as pd
import pytest

from adapters.feature_store import FeatureStore, FeatureStoreUnavailable
from adapters.postgres.dead_letters import DeadLetters
from adapters.postgres.outbox import REBUILD
from feature_repo.engagement.transform import from_events
from serving.consumer import ATTEMPTS, registered_first
from tests.stream_world import World

RECIPIENTS = [f"r{number}" for number in range(20)]


def test_a_stored_event_reaches_the_online_features_and_leaves_nothing_behind(world: World) -> None:
    world.ingest(RECIPIENTS)
    world.ingest(RECIPIENTS[:5], type="purchase")
    relay, consumer = world.relay(), world.consumer()
    world.drain(relay, consumer)
    assert world.differences(RECIPIENTS) == []
    answer = world.store.online(world.tenant.tenant, ["r0", "r9", "nobody"])
    assert (answer["app_opened_count_1d"], answer["purchase_count_1d"]) == ([1, 1, None], [1, 0, None])
    assert (world.waiting(), world.stream().length()) == (0, 0)


def test_many_events_of_one_recipient_are_computed_once(world: World) -> None:
    asked = []

    def compute(events: pd.DataFrame, moments: pd.DataFrame) -> pd.DataFrame:
        asked.append(len(moments))
        return from_events(events, moments)

    relay = world.started_relay()
    for _ in range(5):
        world.ingest(["r1", "r2"])
    consumer = world.consumer(compute=compute)
    world.drain(relay, consumer)
    assert asked == [2]
    assert consumer.counts.delivered == 10


def test_an_event_older_than_every_window_is_acknowledged_without_a_computation(world: World) -> None:
    world.ingest(["r1"], at=world.now() - timedelta(days=91))
    relay, consumer = world.relay(), world.consumer(compute=lambda *_: pytest.fail("computed"))
    world.drain(relay, consumer)
    assert (consumer.counts.too_old, consumer.counts.delivered) == (1, 0)


def test_an_event_from_a_fast_clock_counts_at_once_and_does_not_block_the_next(world: World) -> None:
    relay, consumer = world.relay(), world.consumer()
    world.ingest(["r1"], at=world.now() + timedelta(minutes=4))
    world.drain(relay, consumer)
    assert world.store.online(world.tenant.tenant, ["r1"])["app_opened_count_1d"] == [1]
    world.ingest(["r1"])
    world.drain(relay, consumer)
    assert world.store.online(world.tenant.tenant, ["r1"])["app_opened_count_1d"] == [2]


def test_the_same_messages_again_change_nothing(world: World) -> None:
    relay, consumer = world.started_relay(), world.consumer()
    world.ingest(RECIPIENTS)
    relay.step()
    twice = world.stream().read("elsewhere", count=100, block_ms=10)
    world.stream().append(twice)
    world.drain(relay, consumer)
    assert world.differences(RECIPIENTS) == []
    assert consumer.counts.repeated == len(RECIPIENTS)


def test_the_stream_is_never_longer_than_it_may_be_and_nothing_is_trimmed(world: World) -> None:
    world.ingest([f"r{number % 7}" for number in range(100)])
    relay, consumer = world.relay(max_length=10), world.consumer()
    for _ in range(5):
        relay.step()
        assert world.stream().length() <= 10
    world.drain(relay, consumer)
    assert world.store.online(world.tenant.tenant, ["r0"])["app_opened_count_1d"] == [15]


def test_a_recipient_whose_events_cannot_be_computed_becomes_a_dead_letter_and_the_others_flow(world: World) -> None:
    def compute(events: pd.DataFrame, moments: pd.DataFrame) -> pd.DataFrame:
        if "r7" in set(moments["recipient_id"]):
            raise OverflowError("somebody's data")
        return from_events(events, moments)

    relay, consumer = world.started_relay(), world.consumer(compute=compute)
    world.ingest(RECIPIENTS)
    relay.step()
    consumer.step()
    healthy = [recipient for recipient in RECIPIENTS if recipient != "r7"]
    assert world.differences(healthy) == []
    assert world.waiting() == 1
    world.drain(relay, consumer)
    letters = DeadLetters(world.database).newest(world.tenant, actor="test")
    assert [(letter.reason, letter.origin) for letter in letters] == [("consumer.failed", "stream")]
    assert (b'"key": "r7"' in letters[0].raw, "OverflowError" in letters[0].expected) == (True, True)
    assert "somebody" not in letters[0].expected
    assert consumer.counts.dead == 1
    assert consumer.counts.retried == ATTEMPTS - 1


def test_thousands_of_events_of_one_bad_recipient_do_not_hold_up_the_others(world: World) -> None:
    """They are one attempt together, and what is new has its turn between two looks at them."""
    attempts = []

    def compute(events: pd.DataFrame, moments: pd.DataFrame) -> pd.DataFrame:
        if "bad" in set(moments["recipient_id"]):
            attempts.append(len(moments))
            raise OverflowError("somebody's data")
        return from_events(events, moments)

    relay, consumer = world.started_relay(), world.consumer(compute=compute)
    world.ingest(["bad"] * 1_200)
    relay.step()
    relay.step()
    consumer.step()
    world.ingest(["good"])
    relay.step()
    time.sleep(0.06)
    consumer.step()
    consumer.step()
    assert world.differences(["good"]) == []
    assert len(attempts) < 10


def test_a_consumer_that_finds_no_features_registered_does_it_first(world: World) -> None:
    class Forgetful:
        def __init__(self) -> None:
            self.known, self.asked = False, 0

        def register_if_new(self) -> bool:
            self.asked += 1
            if self.asked == 1:
                raise FeatureStoreUnavailable("the feature registry does not answer")
            return True

    store, steps = Forgetful(), []
    step = registered_first(store, lambda: steps.append(1) or 0.0)
    with pytest.raises(FeatureStoreUnavailable):
        step()
    assert steps == []
    assert (step(), step(), len(steps), store.asked) == (0.0, 0.0, 2, 2)
    assert world.store.register_if_new() is False


def test_live_events_go_before_a_rebuild(world: World) -> None:
    world.ingest(RECIPIENTS)
    relay, consumer = world.relay(), world.consumer()
    world.drain(relay, consumer)
    world.outbox.refill(world.tenant.tenant, since=world.now() - timedelta(days=90))
    world.ingest(["live"])
    relay = world.relay(max_length=8)
    relay._rebuilt[world.tenant.tenant] = world.stream().epoch()
    relay.step()
    topics = [message.topic for message in world.stream().read("elsewhere", count=100, block_ms=10)]
    assert topics == ["events", REBUILD]


def test_tenants_take_turns(world: World) -> None:
    outbox = world.outbox
    outbox.tenants = lambda: ["a", "b", "c"]
    relay = world.relay()
    orders = [relay._in_turn(outbox.tenants())[0] for _ in range(6)]
    assert sorted(orders) == ["a", "a", "b", "b", "c", "c"]


def test_a_consumer_waits_for_features_that_nobody_has_registered(world: World) -> None:
    class Unregistered(FeatureStore):
        def write(self, _features: pd.DataFrame) -> None:
            raise FeatureStoreUnavailable("nothing is registered")

    relay = world.started_relay()
    world.ingest(["r1"])
    relay.step()
    consumer = world.consumer(store=Unregistered(lambda: None, lake=None))
    for _ in range(3):
        with pytest.raises(FeatureStoreUnavailable):
            consumer.step()
    consumer._features = world.consumer()._features
    consumer.step()
    assert (world.waiting(), consumer.counts.delivered, world.stream().length()) == (0, 1, 0)
