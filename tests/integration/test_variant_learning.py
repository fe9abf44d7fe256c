"""What recipients answer moves what the next ones are shown: decided, learnt and served on a real PostgreSQL."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decision_outcomes import DecisionOutcomes
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.variant_beliefs import VariantBeliefs
from adapters.settings import Settings
from domain.consent import ConsentChange, ConsentStatus
from domain.contact_budget import ContactBudget
from domain.decision_request import DecisionRequest
from domain.ingest import parse
from domain.values import Purpose
from models.variant_belief.belief import VariantBelief
from serving.asks import Ask
from serving.decide import Decider, new_id
from serving.learner import Learner
from serving.variant_beliefs import ServingBeliefs
from tests.builders import NOON, a_type

CLOSED = NOON + timedelta(hours=25)
"""When the longest attribution window of what was decided at noon has closed."""


class World:
    """One tenant whose recipients allow everything, or nothing but marketing."""

    def __init__(self, db, tenant):
        self.db, self.tenant, self.now = db, tenant, NOON
        MessageTypes(db).publish(tenant, [a_type(channels=["push"])], actor="test")
        ContactBudgets(db).publish(tenant, ContactBudget(), actor="test")
        self.stored = VariantBeliefs(db)
        self.beliefs = ServingBeliefs(self.stored, lambda: [tenant.tenant])
        self.decider = Decider(
            DecisionLog(db),
            lambda: None,
            Settings(holdout_share=0, decision_postgres_ms=20_000, policy_temperature=0.02),
            beliefs=self.beliefs,
        )
        self.learner = Learner(
            beliefs=self.stored,
            outcomes=DecisionOutcomes(db),
            types=MessageTypes(db),
            tenants=lambda: [tenant],
            now=lambda _: self.now,
        )

    def allow(self, who, *purposes):
        given = [
            ConsentChange(purpose=each, status=ConsentStatus.GIVEN, source="t", effective_at=NOON) for each in purposes
        ]
        ConsentStore(self.db).record_many(self.tenant, dict.fromkeys(who, given), actor="test", now=NOON)

    def decide(self, who, **fields):
        asks = [
            Ask(new_id(), DecisionRequest.model_validate({"recipient_id": each, "message": {"type": "news"}} | fields))
            for each in who
        ]
        return [each.answer for each in self.decider.decide(self.tenant, asks, now=self.now, actor="test")]

    def report(self, answers, kind="clicked", after=timedelta(minutes=5), received=None):
        events = [
            {
                "event_id": f"{kind}-{each['decision_id']}", "source": "app", "type": kind, "recipient_id": who,
                "channel": "push", "occurred_at": (NOON + after).isoformat(), "decision_id": each["decision_id"],
                "message_type": "news",
            }
            for who, each in answers
        ]  # fmt: skip
        log, later = EventLog(self.db, EventEffects(), retention=timedelta(days=3650)), NOON + timedelta(days=1)
        items = [parse(each, place) for place, each in enumerate(events)]
        log.append(self.tenant, items, origin="t", received_at=received or later, now=later)

    def stages(self, answers):
        query = text("SELECT record->'stages' FROM decision WHERE decision_id = ANY(:ids)")
        with self.db.tenant(self.tenant.tenant) as connection:
            found = connection.execute(query, {"ids": [each["decision_id"] for each in answers]}).scalars().all()
        return [{stage["name"]: stage for stage in each}["variant"] for each in found]


@pytest.fixture
def world(db, tenant):
    return World(db, tenant)


def people(prefix, count=120):
    return [f"{prefix}{number}" for number in range(count)]


def taught(world, answered="b"):
    """Decide about some people of whom those answer who were shown one variant; wait until it may be learnt."""
    who = people("first")
    world.allow(who, Purpose.MARKETING, Purpose.PERSONALIZATION)
    answers = world.decide(who)
    world.report([(name, each) for name, each in zip(who, answers, strict=True) if each["variant_id"] == answered])
    return answers


def test_what_is_answered_is_shown_more_often_once_its_window_has_closed(world):
    answers = taught(world)
    shown = Counter(each["variant_id"] for each in answers)
    assert min(shown.values()) > 30
    world.learner.step()
    assert world.learner.counts.batches == 0, "windows are still open"
    world.now = CLOSED
    world.learner.step()
    assert (world.learner.counts.learned, world.learner.counts.left_out) == (len(answers), 0)
    world.beliefs.work()
    later = people("later", 40)
    world.allow(later, Purpose.MARKETING, Purpose.PERSONALIZATION)
    answers = world.decide(later)
    stage = world.stages(answers)[0]
    assert stage["policy"] == "inverse_gap_v1"
    assert stage["probabilities"][1] > 0.9
    assert Counter(each["variant_id"] for each in answers)["b"] > 30


def test_the_same_outcomes_give_the_same_bytes_and_nothing_is_learnt_twice(world):
    taught(world)
    world.now = CLOSED
    world.learner.step()
    (first,) = world.stored.newer(world.tenant.tenant, {})
    world.learner.step()
    assert world.stored.newer(world.tenant.tenant, {"news": first.version}) == []
    with world.db.tenant(world.tenant.tenant) as connection:
        connection.execute(text("DELETE FROM variant_belief"))
    world.learner.step()
    (again,) = world.stored.newer(world.tenant.tenant, {})
    assert again.body == first.body


def batches(world, *, late):
    """Learn two batches of decisions, of which those at ``late`` places are answered after both; return the bytes."""
    who = people("w", 30)
    made = []
    for start, at in ((0, NOON), (15, NOON + timedelta(minutes=1))):
        world.now = at
        made += world.decide(who[start : start + 15])
    answered = [place for place in range(30) if made[place]["variant_id"] == "b"]
    pairs = [(who[place], made[place]) for place in answered]
    prompt = [pair for place, pair in zip(answered, pairs, strict=True) if place not in late]
    world.report(prompt)
    for closed in (NOON + timedelta(hours=2, seconds=30), CLOSED):
        world.now = closed
        world.learner.step()
    for pair in sorted(set(answered) & set(late), reverse=True):
        world.report([(who[pair], made[pair])], received=datetime.now(UTC))
        world.learner.step()
    (newest,) = world.stored.newer(world.tenant.tenant, {})
    return newest, len(set(answered) & set(late))


def test_an_answer_that_is_told_late_teaches_as_if_it_had_come_in_time(world, monkeypatch):
    monkeypatch.setattr(f"{__name__}.new_id", iter(f"d-{number}" for number in range(90)).__next__)
    world.allow(people("w", 30), Purpose.MARKETING, Purpose.PERSONALIZATION)
    newest, late = batches(world, late=range(0, 30, 2))
    assert late > 3
    with world.db.tenant(world.tenant.tenant) as connection:
        connection.execute(text("DELETE FROM variant_belief"))
    for closed in (NOON + timedelta(hours=2, seconds=30), CLOSED):
        world.now = closed
        world.learner.step()
    (in_time,) = world.stored.newer(world.tenant.tenant, {})
    assert (in_time.body, in_time.learned_until) == (newest.body, newest.learned_until)
    version = newest.version
    world.learner.step()
    assert world.stored.newer(world.tenant.tenant, {"news": version}) == [], "nothing changes, so nothing is made again"


def test_an_answer_after_the_window_teaches_nothing(world):
    who = people("late", 20)
    world.allow(who, Purpose.MARKETING, Purpose.PERSONALIZATION)
    answers = world.decide(who)
    world.report(zip(who, answers, strict=True), after=timedelta(hours=2, seconds=1))
    world.now = CLOSED + timedelta(hours=3)
    world.learner.step()
    (stored,) = world.stored.newer(world.tenant.tenant, {})
    sums = VariantBelief.from_bytes(stored.body).softmax.sums.table
    assert sums[:, 0].sum() == 0
    assert sums[:, 1].sum() > 0


def test_who_allows_no_personalization_is_not_learnt_from_and_shown_nothing_personal(world):
    who = people("shy", 10)
    world.allow(who, Purpose.MARKETING)
    answers = world.decide(who)
    world.report(zip(who, answers, strict=True))
    world.now = CLOSED
    world.learner.step()
    assert (world.learner.counts.learned, world.learner.counts.left_out) == (0, 10)
    with world.db.tenant(world.tenant.tenant) as connection:
        record = connection.execute(text("SELECT record FROM decision LIMIT 1")).scalar_one()
    assert record["expected"]["is_personal"] is False
    assert record["expected"]["variants"]["push"]["inputs"]["exposure"] == {}


def test_what_a_recipient_saw_fades_by_half_in_15_days_and_is_recorded_with_the_next_decision(world):
    world.allow(["r"], Purpose.MARKETING, Purpose.PERSONALIZATION)
    (shown,) = world.decide(["r"])
    world.now = NOON + timedelta(days=15)
    (after,) = world.decide(["r"], policy="recovering_softmax")
    with world.db.tenant(world.tenant.tenant) as connection:
        query = text("SELECT record FROM decision WHERE decision_id = :id")
        record = connection.execute(query, {"id": after["decision_id"]}).scalar_one()
    scores = record["expected"]["variants"]["push"]
    assert scores["inputs"]["exposure"] == {shown["variant_id"]: pytest.approx(0.5)}
    assert scores["policy"] == "recovering_softmax_v1"
    assert scores["probabilities"][scores["arms"].index(shown["variant_id"])] < 0.1
    assert record["expected"]["is_personal"] is True


def test_a_damaged_belief_is_not_loaded_and_what_served_before_goes_on(world):
    taught(world)
    world.now = CLOSED
    world.learner.step()
    world.beliefs.work()
    before = world.beliefs(world.tenant.tenant, "news")
    assert before.version == 1
    damaged = (
        "INSERT INTO variant_belief SELECT tenant, message_type, 2, learned_until, 0, body, '\\x00' FROM variant_belief"
    )
    with world.db.tenant(world.tenant.tenant) as connection:
        connection.execute(text(damaged))
    world.beliefs.work()
    assert world.beliefs(world.tenant.tenant, "news") is before


DISCOUNT = {"has_discount": True}


def test_a_new_variant_of_a_kind_that_is_answered_is_shown_at_once_and_one_of_no_kind_is_not(world):
    kinds = {"a": None, "b": None, "c": DISCOUNT, "d": DISCOUNT}
    publish(world, kinds)
    who = people("first", 240)
    world.allow(who, Purpose.MARKETING, Purpose.PERSONALIZATION)
    answers = world.decide(who)
    world.report([(name, each) for name, each in zip(who, answers, strict=True) if each["variant_id"] in "cd"])
    world.now = CLOSED
    world.learner.step()
    world.beliefs.work()
    shares = {}
    for name, features in (("plain", None), ("cheap", DISCOUNT)):
        publish(world, kinds | {"new": features})
        world.allow([name], Purpose.MARKETING, Purpose.PERSONALIZATION)
        (stage,) = world.stages(world.decide([name]))
        shares[name] = stage["probabilities"][-1]
    floor = Settings().exploration_epsilon / 5
    assert shares["plain"] == pytest.approx(floor, rel=0.01)
    assert shares["cheap"] > 2 * floor


def publish(world, kinds):
    variants = [{"id": name, "content": {"push": {"body": "b"}}, "features": each} for name, each in kinds.items()]
    definition = a_type(channels=["push"], variants=variants, variant_policy="epsilon_softmax")
    MessageTypes(world.db).publish(world.tenant, [definition], actor="test")
