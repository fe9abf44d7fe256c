"""Jobs: every item has one verdict, whatever dies in between, and a fault ends one job and no other."""

from datetime import timedelta

import pytest
from sqlalchemy import event, text
from structlog.testing import capture_logs

from adapters.clock import real_now
from adapters.postgres.engine import Database
from adapters.postgres.jobs import LEASE, Jobs, LeaseLost, UnknownJob
from adapters.postgres.tenants import Tenants
from domain.jobs import ItemResult, ItemVerdict, JobState
from serving.job_runner import CHUNK, TURN_SECONDS, JobRunner

KIND = "test.count"


class Killed(BaseException):
    """Stands for a kill in the middle of a chunk."""


class Counting:
    """A handler that keeps which items it did; ``dies_at`` kills it there, once."""

    def __init__(self, dies_at: int | None = None) -> None:
        self.seen: list[int] = []
        self.dies_at = dies_at

    def __call__(self, _connection, _tenant, _payload, places, _actor):
        for place in places:
            if place == self.dies_at:
                self.dies_at = None
                raise Killed
            self.seen.append(place)
        odd = [ItemResult(position=p, verdict=ItemVerdict.REFUSED, detail={"field": "x"}) for p in places if p % 2]
        even = [ItemResult(position=p, verdict=ItemVerdict.DONE) for p in places if not p % 2]
        return [*odd, *even]


@pytest.fixture
def jobs(db):
    return Jobs(db)


def submitted(jobs, tenant, total=7):
    return jobs.submit(tenant, KIND, total=total, payload={"any": "thing"}, actor="test")


def test_a_job_is_done_item_by_item_with_a_verdict_on_each(jobs, tenant, db, box):
    job = submitted(jobs, tenant, total=120)
    assert (job.state, job.done) == (JobState.QUEUED, 0)
    JobRunner(jobs, Tenants(db, box), {KIND: Counting()}).run_waiting()
    job = jobs.get(tenant, job.job_id)
    assert (job.state, job.total, job.done, job.refused) == (JobState.DONE, 120, 120, 60)
    first = jobs.results(tenant, job.job_id, after=-1, limit=100)
    rest = jobs.results(tenant, job.job_id, after=first[-1].position, limit=100)
    assert [each.position for each in [*first, *rest]] == list(range(120))


def test_after_a_kill_somebody_goes_on_where_the_last_commit_was(jobs, tenant):
    job, handler = submitted(jobs, tenant), Counting(dies_at=5)
    now = real_now()
    claimed = jobs.advance(tenant, jobs.claim(tenant, [KIND], now=now), handler, chunk=3, now=now)
    with pytest.raises(Killed):
        jobs.advance(tenant, claimed, handler, chunk=3, now=now)
    assert jobs.get(tenant, job.job_id).done == 3
    assert jobs.claim(tenant, [KIND], now=now + LEASE - timedelta(seconds=1)) is None
    again = jobs.claim(tenant, [KIND], now=now + LEASE)
    assert again.position == 3
    while again.position < again.total:
        again = jobs.advance(tenant, again, handler, chunk=3, now=now + LEASE)
    assert [each.position for each in jobs.results(tenant, job.job_id, after=-1, limit=9)] == list(range(7))
    assert jobs.get(tenant, job.job_id).state is JobState.DONE


def test_who_lost_the_lease_does_nothing_more(jobs, tenant):
    submitted(jobs, tenant)
    now, handler = real_now(), Counting()
    slow = jobs.claim(tenant, [KIND], now=now)
    jobs.claim(tenant, [KIND], now=now + LEASE)
    with pytest.raises(LeaseLost):
        jobs.advance(tenant, slow, handler, chunk=3, now=now)
    assert handler.seen == []


def test_a_fault_ends_the_job_and_not_the_others(jobs, tenant, db, box):
    def broken(connection, tenant, payload, places, actor):
        raise ZeroDivisionError

    bad, good = submitted(jobs, tenant), jobs.submit(tenant, "test.good", total=1, payload={}, actor="test")
    JobRunner(jobs, Tenants(db, box), {KIND: broken, "test.good": Counting()}).run_waiting()
    failed = jobs.get(tenant, bad.job_id)
    assert (failed.state, failed.problem) == (JobState.FAILED, "an unexpected fault; the service's log has it")
    assert jobs.get(tenant, good.job_id).state is JobState.DONE


class Ticking:
    """A handler for which each chunk takes longer than a turn, and that notes whose it was."""

    def __init__(self):
        self.seconds, self.order = 0.0, []

    def monotonic(self):
        return self.seconds

    def __call__(self, _connection, tenant, payload, places, _actor):
        self.seconds += TURN_SECONDS
        self.order.append((tenant.tenant, payload["name"]))
        return [ItemResult(position=place, verdict=ItemVerdict.DONE) for place in places]


def test_a_long_job_of_one_tenant_keeps_nobody_elses_waiting(jobs, tenant, db, box):
    other = Tenants(db, box).create(f"{tenant.tenant}c", display_name="c", time_zone="UTC", is_sandbox=True)[0]
    long = jobs.submit(tenant, "test.turns", total=5 * CHUNK, payload={"name": "long"}, actor="test")
    short = jobs.submit(other, "test.turns", total=1, payload={"name": "short"}, actor="test")
    ticking = Ticking()
    runner = JobRunner(jobs, Tenants(db, box), {"test.turns": ticking}, monotonic=ticking.monotonic)
    assert runner.run_waiting() == 2
    assert ticking.order.index((other.tenant, "short")) <= 1
    assert jobs.get(other, short.job_id).state is jobs.get(tenant, long.job_id).state is JobState.DONE
    assert [each.position for each in jobs.results(tenant, long.job_id, after=-1, limit=999)] == list(range(5 * CHUNK))


def test_what_goes_first_waits_for_one_turn_of_a_longer_job_and_not_for_its_end(jobs, tenant, db, box):
    jobs.submit(tenant, "test.turns", total=3 * CHUNK, payload={"name": "computed"}, actor="test")
    ticking = Ticking()

    def handler(connection, tenant, payload, places, actor):
        if not ticking.order:
            jobs.submit(tenant, "test.chosen", total=1, payload={"name": "chosen"}, actor="test")
        return ticking(connection, tenant, payload, places, actor)

    handlers = {"test.turns": handler, "test.chosen": ticking}
    JobRunner(jobs, Tenants(db, box), handlers, first=["test.chosen"], monotonic=ticking.monotonic).run_waiting()
    assert [name for _, name in ticking.order] == ["computed", "chosen", "computed", "computed"]


def test_a_job_that_was_given_back_may_be_taken_at_once(jobs, tenant):
    submitted(jobs, tenant)
    now = real_now()
    claimed = jobs.advance(tenant, jobs.claim(tenant, [KIND], now=now), Counting(), chunk=3, now=now)
    jobs.release(tenant, claimed)
    again = jobs.claim(tenant, [KIND], now=now)
    assert (again.job_id, again.position) == (claimed.job_id, 3)


def test_the_line_of_a_job_that_failed_says_where_and_quotes_nobody(jobs, tenant, db, box):
    def broken(*_):
        raise ValueError("a@b.example")

    jobs.submit(tenant, "test.broken", total=1, payload={}, actor="test")
    with capture_logs() as lines:
        JobRunner(jobs, Tenants(db, box), {"test.broken": broken}).run_waiting()
    (line,) = [line for line in lines if line["event"] == "job.failed"]
    assert line["error"] == "ValueError"
    assert "broken" in line["at"][-1]
    assert "a@b.example" not in str(line)


def test_a_job_that_cannot_be_opened_any_more_fails_and_holds_up_nothing_behind_it(jobs, tenant, db, box, databases):
    torn = jobs.submit(tenant, "test.torn", total=1, payload={}, actor="test")
    good = jobs.submit(tenant, "test.torn", total=1, payload={}, actor="test")
    url = databases.server.set(database=databases.database)
    superuser = Database(url.render_as_string(hide_password=False))
    with superuser.begin() as connection:
        connection.execute(text("UPDATE job SET payload = '\\x00' WHERE job_id = :id"), {"id": torn.job_id})
    superuser.close()
    runner = JobRunner(jobs, Tenants(db, box), {"test.torn": Counting()})
    while runner.run_waiting():
        pass
    failed = jobs.get(tenant, torn.job_id)
    assert (failed.state, failed.problem) == (JobState.FAILED, "what was asked for cannot be opened any more")
    runner.run_waiting()
    assert jobs.get(tenant, good.job_id).state is JobState.DONE


def test_what_a_failed_job_leaves_is_removed_with_its_end(jobs, tenant, db, box):
    def broken(*_):
        raise ZeroDivisionError

    cleaned = []
    jobs.submit(tenant, "test.cleaned", total=1, payload={"plan": "p"}, actor="test")
    cleaners = {"test.cleaned": lambda _connection, payload: cleaned.append(payload)}
    JobRunner(jobs, Tenants(db, box), {"test.cleaned": broken}, cleaners=cleaners).run_waiting()
    assert cleaned == [{"plan": "p"}]


def test_a_tenant_whose_turn_fails_keeps_no_other_waiting(jobs, tenant, db, box):
    other = Tenants(db, box).create(f"{tenant.tenant}z", display_name="z", time_zone="UTC", is_sandbox=True)[0]
    for each in (tenant, other):
        jobs.submit(each, "test.unlucky", total=1, payload={}, actor="test")

    class Unlucky(Jobs):
        def claim(self, whose, *given, **named):
            if whose.tenant == tenant.tenant:
                raise KeyError("a@b.example")
            return super().claim(whose, *given, **named)

    with capture_logs() as lines:
        JobRunner(Unlucky(db), Tenants(db, box), {"test.unlucky": Counting()}).run_waiting()
    assert tenant.tenant in jobs.tenants_with_some(["test.unlucky"], now=real_now())
    assert other.tenant not in jobs.tenants_with_some(["test.unlucky"], now=real_now())
    assert {line["event"] for line in lines} >= {"jobs.turn_failed", "job.done"}
    assert "a@b.example" not in str(lines)


def test_a_tenant_is_named_while_it_has_a_job_that_nobody_works_on(jobs, tenant):
    now = real_now()
    assert tenant.tenant not in jobs.tenants_with_some([KIND], now=now)
    submitted(jobs, tenant, total=1)
    assert tenant.tenant in jobs.tenants_with_some([KIND, "test.good"], now=now)
    assert jobs.tenants_with_some(["test.nobodys"], now=now) == []
    claimed = jobs.claim(tenant, [KIND], now=now)
    assert tenant.tenant not in jobs.tenants_with_some([KIND], now=now)
    assert tenant.tenant in jobs.tenants_with_some([KIND], now=now + LEASE)
    jobs.advance(tenant, claimed, Counting(), chunk=1, now=now)
    assert tenant.tenant not in jobs.tenants_with_some([KIND], now=now + 2 * LEASE)


def test_however_many_tenants_there_are_a_look_for_jobs_asks_once(databases, tenant, box):
    database, asked = Database(databases.app), []
    event.listen(database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    assert tenant.tenant in Tenants(database, box).names()
    asked.clear()
    assert JobRunner(Jobs(database), Tenants(database, box), {"test.nobodys": Counting()}).run_waiting() == 0
    database.close()
    assert len([each for each in asked if "kairos_tenants_with_jobs" in each]) == 1 == len(asked)


def test_another_tenants_job_is_unknown(jobs, tenant, db, box):
    job = submitted(jobs, tenant)
    other = Tenants(db, box).create(f"{tenant.tenant}b", display_name="b", time_zone="UTC", is_sandbox=True)[0]
    with pytest.raises(UnknownJob):
        jobs.get(other, job.job_id)
    assert jobs.claim(other, [KIND], now=real_now()) is None
