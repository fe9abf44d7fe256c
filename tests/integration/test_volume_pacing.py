"""A target far exceeded raises the price, and the price sends less: decided, paced and served on real stores."""

import secrets
from collections import Counter
from datetime import timedelta
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest
from sqlalchemy import text

from adapters import legal_rule_files
from adapters.endpoints import Endpoints
from adapters.feature_store import FeatureStore
from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.channel_prices import ChannelPrices
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.engine import Database, Unavailable
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.volume_targets import TargetBook
from adapters.settings import Settings
from domain import decision_replay
from domain.consent import ConsentChange, ConsentStatus
from domain.contact_budget import ContactBudget
from domain.decision_request import DecisionRequest
from domain.quiet_hours import QuietHours
from domain.values import Channel, Purpose
from domain.volume_targets import VolumeTargets
from serving.asks import Ask
from serving.decide import Decider
from serving.pacer import Pacer
from serving.strategies import strategy
from serving.volume_prices import STALE_SECONDS, ServingPrices
from tests.builders import NOON, a_type
from tests.feature_tables import feature_table

PEOPLE = [f"r{number}" for number in range(60)]
PACED = {"channels": {"push": {"messages_a_day": 12}}}


class Scorer:
    """Says the same of everybody: a message is worth sending."""

    features = ("login_count_30d", "channel_code")
    vocabularies = {"channel": ("email", "push")}  # noqa: RUF012

    def score(self, matrix):
        return np.full(len(matrix), 0.15)


@pytest.fixture(scope="module")
def store(tmp_path_factory, databases, valkey):
    endpoints = Endpoints(databases=databases, redis_url=valkey.url, mlflow_url="", dagster_url="", api_url="")
    store = FeatureStore.of(Settings(data_dir=tmp_path_factory.mktemp("lake")), endpoints)
    store.apply()
    yield store
    store.close()


class World:
    """One tenant whose recipients allow everything, and a model that values every message alike."""

    def __init__(self, db, tenant, store):
        self.db, self.tenant, self.now, self.seconds = db, tenant, NOON, 0.0
        self.types = MessageTypes(db)
        self.types.publish(
            tenant,
            [a_type(channels=["push"]), a_type(type="receipt", channels=["push"], **{"class": "transactional"})],
            actor="test",
        )
        ContactBudgets(db).publish(tenant, ContactBudget(), actor="test")
        self.targets, self.stored = TargetBook(db), ChannelPrices(db)
        self.round = 0
        self.prices = ServingPrices(self.stored, lambda: [tenant.tenant], monotonic=lambda: self.seconds)
        model = SimpleNamespace(
            name="engagement", version="7", digest="d", run_id="run", feature_service="engagement_v1", scorer=Scorer(),
            store=store,
        )  # fmt: skip
        self.decider = Decider(DecisionLog(db), lambda: model, Settings(holdout_share=0, decision_postgres_ms=20_000))
        self.decider.situations.prices = self.prices
        given = [
            ConsentChange(purpose=each, status=ConsentStatus.GIVEN, source="t", effective_at=NOON)
            for each in (Purpose.MARKETING, Purpose.PERSONALIZATION)
        ]
        ConsentStore(db).record_many(tenant, dict.fromkeys(PEOPLE, given), actor="test", now=NOON)

    @property
    def pacer(self):
        """A pacer that was started this moment: nothing but rows is kept between two steps."""
        return Pacer(
            prices=self.stored,
            types=self.types,
            tenants=lambda: [self.tenant],
            now=lambda _: self.now,
            quiet=QuietHours(),
            grace_seconds=0,
        )

    def want(self, **targets):
        self.targets.publish(self.tenant, VolumeTargets.model_validate(targets), actor="test")

    def decide(self, **message):
        # Draws are keyed by the id: the same numbers give the same sends, in every run.
        self.round += 1
        request = {"message": {"type": "news"} | message}
        asks = [
            Ask(f"{self.round}-{each}", DecisionRequest.model_validate(request | {"recipient_id": each}))
            for each in PEOPLE
        ]
        return [each.answer for each in self.decider.decide(self.tenant, asks, now=self.now, actor="test")]

    def step(self, minutes=2):
        self.now += timedelta(minutes=minutes)
        self.pacer.step()
        self.prices.work()
        return self.rows()

    def rows(self):
        query = text("SELECT scope, version, price, sent, sent_day FROM channel_price ORDER BY scope, version")
        with self.db.tenant(self.tenant.tenant) as connection:
            return connection.execute(query).all()

    def record(self, answer):
        return self.decider._log.get(self.tenant, answer["decision_id"], actor="test")


@pytest.fixture
def world(db, tenant, store):
    store.write(feature_table(tenant.tenant, PEOPLE, NOON - timedelta(hours=1)))
    return World(db, tenant, store)


def sent(answers):
    return Counter(each["outcome"] for each in answers)["send_now"]


def replayed(world, answer):
    record = world.record(answer)
    record.pop("recorded_at")
    definition = world.decider._log.definition(world.tenant, "news", 1)
    rules = legal_rule_files.load(record["versions"]["rules"])
    return decision_replay.differences(decision_replay.past(record, definition, rules))


def test_without_a_target_nothing_costs_anything(world):
    (first, *_) = world.decide()
    assert world.step() == []
    assert world.prices(world.tenant.tenant) is None
    kept = world.record(first)
    assert kept["volume_prices"] is None
    assert kept["expected"]["channels"]["push"]["price"] == 0


def test_a_target_far_exceeded_raises_the_price_and_fewer_are_sent(world):
    before = sent(world.decide())
    assert before > 45
    world.want(**PACED)
    (opened,) = world.step()
    assert (opened.scope, opened.version, opened.sent_day) == ("push", 1, before)
    assert opened.price > 0
    world.now += timedelta(minutes=1)
    answers = world.decide()
    assert sent(answers) < before / 2
    raised = world.step()[-1]
    assert (raised.version, raised.sent_day) == (2, before + sent(answers))
    assert raised.price >= opened.price
    kept = world.record(answers[0])
    assert kept["volume_prices"] == {
        "scopes": {"push": {"price": opened.price, "version": 1}}, "is_stale": False
    }  # fmt: skip
    assert kept["expected"]["channels"]["push"]["price"] == opened.price
    sends = next(each for each in answers if each["outcome"] == "send_now")
    assert sends["score"]["price"] == opened.price
    assert [replayed(world, each) for each in answers[:20]] == [()] * 20


def test_what_is_owed_is_neither_paced_nor_counted(world):
    world.want(**PACED)
    answers = world.decide()
    owed = world.decide(type="receipt")
    (opened,) = world.step()
    assert opened.sent_day == sent(answers)
    assert sent(owed) == len(PEOPLE)
    later = world.decide(type="receipt")
    assert sent(later) == len(PEOPLE)
    assert world.record(later[0])["volume_prices"] is None


def test_a_target_taken_back_costs_nothing_any_more(world):
    world.decide()
    world.want(tenant={"messages_a_day": 12})
    (opened,) = world.step()
    assert opened.scope == "tenant"
    assert world.prices(world.tenant.tenant).of(Channel.PUSH) == opened.price > 0
    world.want()
    assert [row.price for row in world.step()] == [opened.price, 0]
    assert world.step() == world.rows(), "an end is told once"
    assert len(world.rows()) == 2


def test_two_pacers_at_once_and_one_too_soon_move_nothing_twice(world):
    world.decide()
    world.want(**PACED)
    world.now += timedelta(minutes=2)
    both = [Thread(target=pacer.step) for pacer in (world.pacer, world.pacer)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    world.pacer.step()
    assert [row.version for row in world.rows()] == [1]
    with world.stored.alone(world.tenant, grace_seconds=0), world.stored.alone(world.tenant, grace_seconds=0) as second:
        assert second is None


def test_with_the_store_away_the_last_price_goes_on_and_says_so(world, databases):
    world.decide()
    world.want(**PACED)
    (opened,) = world.step()
    nowhere = Database(databases.app.replace("kairos_app:", f"kairos_app:{secrets.token_hex(8)}", 1))
    world.prices._stored = ChannelPrices(nowhere)
    with pytest.raises(Unavailable):
        world.prices.work()
    nowhere.close()
    assert not world.prices(world.tenant.tenant).is_stale
    world.seconds += STALE_SECONDS + 1
    answers = world.decide(variables={})
    kept = world.record(answers[0])
    assert kept["volume_prices"]["is_stale"] is True
    assert kept["expected"]["channels"]["push"]["price"] == opened.price
    assert replayed(world, answers[0]) == ()


def test_a_strategy_tells_the_price(world):
    world.decide()
    world.want(**PACED)
    (opened,) = world.step()
    news = world.types.all(world.tenant)[0]
    told = strategy(world.decider, world.tenant, "r1", news, Channel.PUSH, (), now=world.now)
    assert told.price == opened.price
