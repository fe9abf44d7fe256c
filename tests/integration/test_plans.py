"""Plans as jobs: within their budgets, every item a recorded decision, and whole after a kill at any step."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from adapters.clock import Clock, real_now
from adapters.personal_data.job_place import OpenJobs
from adapters.personal_data.places import NotYet, Person
from adapters.postgres import plans as stored
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.jobs import LEASE, Jobs
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.plan_tables import plan_item, plan_page
from adapters.postgres.plans import Plans, UnknownPlan
from adapters.postgres.profiles import Profiles
from adapters.postgres.recipient_facts import RecipientFacts
from adapters.postgres.tables import decision
from adapters.postgres.tenants import Tenants
from adapters.settings import Settings
from domain import plans as domain_plans
from domain.consent import ConsentChange, ConsentStatus
from domain.identity import subject_key
from domain.jobs import JobState
from domain.profiles import Profile
from domain.values import Purpose
from serving.decide import Decider
from serving.job_runner import JobRunner
from serving.planner import Planner
from tests.builders import NOON, a_type

PEOPLE = 12
KIND = "test.plan"
"""A kind that no service takes that another test left running on the same stores."""


@pytest.fixture
def world(db, box, tenant, monkeypatch):
    """A tenant at noon; twelve people with a profile, all but ``p-03`` with consent, half of them in France."""
    monkeypatch.setattr(stored, "PAGE", 5)
    monkeypatch.setattr(stored, "KIND", KIND)
    shifted = Tenants(db, box).shift_clock(tenant.tenant, (NOON - datetime.now(UTC)).total_seconds())
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    given = ConsentChange(
        purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="test", effective_at=NOON - timedelta(days=9)
    )
    for number in range(PEOPLE):
        name = f"p-{number:02}"
        Profiles(db).put(shifted, name, Profile(country="FR" if number % 2 else "DE"), actor="test")
        if number != 3:
            ConsentStore(db).record(shifted, name, [given], actor="test", now=NOON)
    return shifted


@pytest.fixture
def planner(db):
    decider = Decider(DecisionLog(db), lambda: None, Settings(holdout_share=0, decision_postgres_ms=20_000))
    return Planner(decider, RecipientFacts(), Clock())


@pytest.fixture
def plans(db):
    return Plans(db, Jobs(db))


def submit(plans, tenant, **fields):
    asked = {"message": {"type": "news"}} | fields
    return plans.submit(tenant, asked, asked_at=Clock().now(tenant).isoformat(), actor="test")


def run(db, box, planner):
    JobRunner(Jobs(db), Tenants(db, box), {KIND: planner.step}).run_waiting()


def items(plans, tenant, plan):
    return plans.items(tenant, plan.plan_id, after=-1, limit=100)


def count(db, tenant, table):
    with db.tenant(tenant.tenant) as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_plan_keeps_its_budget_tells_its_prices_and_decides_about_every_item(db, box, world, plans, planner):
    budgets = {"messages": 7, "channels": {"push": 3}, "money": 10.0, "costs": {"email": 0.5, "push": 0.1}}
    queued = submit(plans, world, budgets=budgets, campaign_id="spring")
    assert (queued.state, queued.total, queued.summary) == (JobState.QUEUED, 7, None)
    run(db, box, planner)
    plan = plans.get(world, queued.plan_id)
    summary = plan.summary
    assert (plan.state, plan.done) == (JobState.DONE, 7)
    assert (summary.recipients, summary.reachable, summary.items, summary.unit) == (PEOPLE, PEOPLE - 1, 7, "visits")
    limits = {each.name: each for each in summary.constraints}
    assert limits["messages"].used == 7
    assert limits["channel.push"].used == 3
    assert limits["messages"].price > 0
    assert limits["money"].price == 0
    assert summary.cost == pytest.approx(3 * 0.1 + 4 * 0.5)
    assert 0 <= summary.gap < 0.01
    assert summary.value == pytest.approx(sum(each.worth for each in items(plans, world, plan)))
    made = items(plans, world, plan)
    assert len({each.decision_id for each in made}) == 7
    record = DecisionLog(db).get(world, made[0].decision_id, actor="test")
    assert record["request"]["campaign_id"] == "spring"
    assert record["request"]["channels"] == [made[0].channel.value]
    assert record["action_probability"] == made[0].action_probability
    assert record["stages"]
    assert count(db, world, decision) == 7
    assert count(db, world, plan_page) == 0


def test_only_the_audience_is_in_a_plan(db, box, world, plans, planner):
    plan = submit(plans, world, audience={"field": "profile.country", "equals": "FR"})
    run(db, box, planner)
    summary = plans.get(world, plan.plan_id).summary
    assert (summary.recipients, summary.reachable, summary.items) == (6, 5, 5)
    subjects = {subject_key(world.subject_secret, f"p-{n:02}") for n in range(1, PEOPLE, 2) if n != 3}
    with db.tenant(world.tenant) as connection:
        assert set(connection.execute(select(decision.c.subject_key)).scalars()) == subjects


def test_who_comes_after_the_plan_was_asked_for_pushes_nobody_out_of_it(db, box, world, plans, planner):
    plan = submit(plans, world)
    for number in range(8):
        Profiles(db).put(world, f"a-{number}", Profile(country="FR"), actor="test")
    run(db, box, planner)
    summary = plans.get(world, plan.plan_id).summary
    assert (summary.recipients, summary.reachable) == (PEOPLE, PEOPLE - 1)


def test_an_audience_that_turns_out_too_large_ends_the_plan_and_says_so(db, box, world, plans, planner, monkeypatch):
    plan = submit(plans, world, audience={"field": "profile.country", "equals": "FR"})
    monkeypatch.setattr(domain_plans, "MAX_CELLS", 35)
    run(db, box, planner)
    found = plans.get(world, plan.plan_id)
    assert (found.state, found.summary) == (JobState.FAILED, None)
    assert found.problem == "the audience is too large: at most 5 people where each has 6 options, channels times slots"


def test_one_person_gets_several_messages_over_channels_and_slots(db, box, world, plans, planner):
    window = {"from": NOON.isoformat(), "until": (NOON + timedelta(hours=3)).isoformat()}
    plan = submit(
        plans, world, recipient_id="p-00", channels=["email", "push"], window=window, slots=3, per_recipient=4,
        budgets={"per_slot": 1},
    )  # fmt: skip
    run(db, box, planner)
    made = items(plans, world, plan)
    assert sorted(each.slot for each in made) == [0, 1, 2]
    assert {each.outcome for each in made[1:]} <= {"defer", "suppress"}
    assert {each.channel.value for each in made} <= {"email", "push"}


class Killed(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("step", range(7))
def test_after_a_kill_at_any_step_the_plan_ends_as_if_there_had_been_none(db, world, plans, planner, step, monkeypatch):
    plan, jobs, now = submit(plans, world, budgets={"messages": 8}), Jobs(db), real_now()

    def dies_at_the_end(*given):
        planner.step(*given)
        raise Killed

    claimed = jobs.claim(world, [KIND], now=now)
    while claimed.position < step:
        claimed = jobs.advance(world, claimed, planner.step, chunk=50, now=now)
    with pytest.raises(Killed):
        jobs.advance(world, claimed, dies_at_the_end, chunk=50, now=now)
    again = jobs.claim(world, [KIND], now=now + 2 * LEASE)
    assert again.position == step
    while again.position < again.total:
        again = jobs.advance(world, again, planner.step, chunk=50, now=now + 2 * LEASE)
    made = items(plans, world, plan)
    assert plans.get(world, plan.plan_id).state is JobState.DONE
    assert [each.position for each in made] == list(range(8))
    assert len({each.decision_id for each in made}) == 8
    assert (count(db, world, decision), count(db, world, plan_item), count(db, world, plan_page)) == (8, 8, 0)


def test_an_erasure_waits_for_a_plan_that_the_person_is_in_and_for_no_other(db, world, plans, planner):
    submit(plans, world)
    jobs, now = Jobs(db), real_now()
    claimed = jobs.advance(world, jobs.claim(world, [KIND], now=now), planner.step, chunk=50, now=now)

    def erase(who):
        person = Person(world, who, "e-1")
        with db.tenant(world.tenant) as connection:
            return OpenJobs().erase(connection, person)

    with pytest.raises(NotYet):
        erase("p-01")
    assert erase("somebody-else") == 0
    jobs.fail(world, claimed, "stopped")
    assert erase("p-01") == 0
    assert count(db, world, plan_page) == 0


def test_who_is_in_a_plan_cannot_be_read_in_the_table(db, world, plans, planner):
    submit(plans, world)
    jobs, now = Jobs(db), real_now()
    jobs.advance(world, jobs.claim(world, [KIND], now=now), planner.step, chunk=50, now=now)
    with db.tenant(world.tenant) as connection:
        (sealed,) = connection.execute(select(plan_page.c.people)).scalars()
    assert b"p-0" not in bytes(sealed)


def test_an_item_that_cannot_be_decided_says_why_and_the_others_are_decided(db, box, world, plans, planner):
    variables = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    MessageTypes(db).publish(world, [a_type(type="fussy", variables=variables)], actor="test")
    plan = submit(plans, world, message={"type": "fussy"})
    run(db, box, planner)
    assert plans.get(world, plan.plan_id).summary.reachable == 0
    assert items(plans, world, plan) == []


def test_another_tenants_plan_is_unknown(db, box, world, plans):
    plan = submit(plans, world)
    other = Tenants(db, box).create(f"{world.tenant}b", display_name="b", time_zone="UTC", is_sandbox=True)[0]
    with pytest.raises(UnknownPlan):
        plans.get(other, plan.plan_id)
    with pytest.raises(UnknownPlan):
        plans.items(other, plan.plan_id, after=-1, limit=9)
