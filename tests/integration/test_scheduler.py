"""What is due is told once and never early, what may not go waits, and kills at every statement change nothing."""

import json
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from adapters import heartbeat
from adapters.clock import Clock
from adapters.heartbeat import Doing
from adapters.postgres.contact_tables import contact
from adapters.postgres.follow_up_tables import follow_up
from adapters.postgres.hook_tables import hook_delivery
from adapters.postgres.hooks import Hooks
from adapters.postgres.tenants import Tenants
from adapters.settings import child_environment
from domain.consent import ConsentStatus
from domain.handover import Verdict
from domain.values import Reason
from domain.webhooks import HookEvent
from serving.scheduler import KEEP_SETTLED, Scheduler
from tests.api import settings_for
from tests.handover_scene import MORNING, NIGHT, Scene
from tests.service_process import ROOT, until

SOON = timedelta(seconds=1)
RECIPIENTS = tuple(f"r{number}" for number in range(12))


@pytest.fixture
def scene(db, box, tenant):
    return Scene(db, box, tenant, recipients=("r", *RECIPIENTS))


@pytest.fixture
def heard(db, box, tenant):
    """Somebody who wants to be told; returns what was told, by event."""
    events = [HookEvent.DECISION_RELEASED, HookEvent.DECISION_STOPPED, HookEvent.DIGEST_RELEASED]
    Hooks(db, box).create(tenant, url="https://hooks.example.com/in", events=events, description="", actor="test")

    def told():
        with db.tenant(tenant.tenant) as connection:
            query = select(hook_delivery.c.event, hook_delivery.c.data).order_by(hook_delivery.c.recorded_at)
            rows = connection.execute(query).all()
        return [(row.event, row.data) for row in rows]

    return told


def scheduler(scene, now) -> Scheduler:
    return Scheduler(
        handovers=scene.handovers,
        digests=scene.digests,
        tenants=lambda: [scene.tenant],
        clock=lambda: Clock(lambda: now),
    )


def step(scene, now) -> Scheduler:
    working = scheduler(scene, now)
    working.step()
    return working


def states(scene) -> dict[str, str]:
    with scene.db.tenant(scene.tenant.tenant) as connection:
        rows = connection.execute(select(follow_up.c.decision_id, follow_up.c.state)).all()
    return {row.decision_id: row.state for row in rows}


def test_it_is_told_once_and_never_early(scene, heard) -> None:
    answer = scene.ask(campaign_id="c-1")
    step(scene, MORNING - timedelta(microseconds=1))
    assert heard() == []
    for minutes in (0, 1, 600):
        step(scene, MORNING + timedelta(minutes=minutes))
    ((event, data),) = heard()
    assert event == "decision_released"
    assert data["decision_id"] == answer["decision_id"]
    assert (data["recipient_id"], data["campaign_id"], data["kind"]) == ("r", "c-1", "deferral")
    assert scene.hand_over(answer).verdict is Verdict.GO


def test_a_sandbox_is_told_by_its_own_clock(scene, heard, db, box) -> None:
    scene.ask()
    real = MORNING - timedelta(days=1)
    Tenants(db, box).shift_clock(scene.tenant.tenant, 86_400.0 - 60)
    scene.tenant = Tenants(db, box).get(scene.tenant.tenant)
    step(scene, real)
    assert heard() == []
    step(scene, real + timedelta(seconds=60))
    assert len(heard()) == 1


def test_what_may_not_go_any_more_is_given_up_with_its_reservation_and_told(scene, heard) -> None:
    answer = scene.ask()
    scene.say(ConsentStatus.WITHDRAWN, at=NIGHT + SOON)
    step(scene, MORNING)
    ((event, data),) = heard()
    assert (event, data["reason"]) == ("decision_stopped", "consent.withdrawn")
    assert scene.hand_over(answer).reason is Reason.CONSENT_WITHDRAWN
    with scene.db.tenant(scene.tenant.tenant) as connection:
        assert connection.execute(select(contact)).all() == []
        (audited,) = connection.execute(text("SELECT detail FROM audit WHERE action = 'decision.stopped'")).scalars()
    assert audited == {"reason": "consent.withdrawn"}


def test_what_is_closed_when_it_is_due_waits_on_and_is_told_then(scene, heard) -> None:
    scene.ask()
    closed = NIGHT + timedelta(days=1)
    working = step(scene, closed)
    assert (working.counts.postponed, heard()) == (1, [])
    step(scene, MORNING + timedelta(days=1))
    assert [event for event, _ in heard()] == ["decision_released"]


def test_what_was_told_and_never_fetched_ends_when_it_expires(scene, heard) -> None:
    answer = scene.ask(message={"expires_at": (MORNING + timedelta(hours=1)).isoformat()})
    step(scene, MORNING)
    step(scene, MORNING + timedelta(hours=1))
    assert [event for event, _ in heard()] == ["decision_released", "decision_stopped"]
    assert states(scene) == {answer["decision_id"]: "stopped"}


def test_one_that_cannot_be_checked_does_not_hold_up_the_others(scene, heard, monkeypatch) -> None:
    first, second = scene.ask("r1"), scene.ask("r2")
    check = scene.handovers.check

    def damaged(tenant, waiting, *, now):
        if waiting.decision_id == first["decision_id"]:
            raise KeyError("type")
        return check(tenant, waiting, now=now)

    monkeypatch.setattr(scene.handovers, "check", damaged)
    working = scheduler(scene, MORNING)
    working.step()
    working.step()
    assert (working.counts.faults, working.counts.released) == (1, 1)
    assert [data["decision_id"] for _, data in heard()] == [second["decision_id"]]


def test_what_was_settled_long_ago_is_forgotten_and_what_waits_is_not(scene) -> None:
    done = scene.ask("r1")
    scene.hand_over(done)
    open_one = scene.ask("r2", now=NIGHT + timedelta(days=89), message={"expires_at": "2027-01-01T00:00:00Z"})
    working = step(scene, MORNING + KEEP_SETTLED)
    assert (working.counts.forgotten, set(states(scene))) == (0, {done["decision_id"], open_one["decision_id"]})
    working = step(scene, MORNING + KEEP_SETTLED + SOON)
    assert (working.counts.forgotten, set(states(scene))) == (1, {open_one["decision_id"]})


def test_two_schedulers_tell_nothing_twice(scene, heard) -> None:
    for recipient in RECIPIENTS:
        scene.ask(recipient)
    one, other = scheduler(scene, MORNING), scheduler(scene, MORNING)
    due = scene.queue.due(scene.tenant, now=MORNING, limit=100)
    one.step()
    for each in due:
        other._told(scene.tenant, each, scene.handovers.check(scene.tenant, each, now=MORNING))
    assert len(heard()) == one.counts.released == len(RECIPIENTS)
    assert other.counts.released == 0


@pytest.fixture
def environment(tmp_path, databases, box, valkey):
    settings = settings_for(tmp_path, databases, box, redis_url=valkey.url)
    fields = settings.model_dump(include=settings.model_fields_set)
    given = {
        f"KAIROS_{name.upper()}": str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)
        for name, value in fields.items()
    }
    return child_environment(given | {"PYTHONPATH": str(ROOT)})


def test_killed_at_every_statement_and_commit_it_tells_everything_once(scene, heard, environment) -> None:
    waiting = [scene.ask(recipient) for recipient in RECIPIENTS]
    scene.say(ConsentStatus.WITHDRAWN, *RECIPIENTS[:3], at=NIGHT + SOON)
    command = [sys.executable, "-m", "tests.scheduler_process", scene.tenant.tenant, MORNING.isoformat(), "400"]
    ran = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    told_by = json.loads(ran.stdout.splitlines()[-1])
    assert told_by["around"]
    assert told_by["killed"] > 30
    step(scene, MORNING)
    told = sorted((event, data["decision_id"]) for event, data in heard())
    stopped = [("decision_stopped", each["decision_id"]) for each in waiting[:3]]
    assert told == sorted(stopped + [("decision_released", each["decision_id"]) for each in waiting[3:]])


def test_the_process_of_kairos_up_releases_and_ends_well(scene, heard, environment, tmp_path, db, box) -> None:
    for recipient in RECIPIENTS:
        scene.ask(recipient)
    offset = (MORNING - Clock().real()).total_seconds() + 60
    Tenants(db, box).shift_clock(scene.tenant.tenant, offset)
    command = [sys.executable, "-m", "serving.scheduler"]
    killed = subprocess.Popen(command, env=environment, cwd=ROOT)
    until(heard, "nothing was told")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    running = subprocess.Popen(command, env=environment, cwd=ROOT)
    try:
        until(lambda: len(heard()) == len(RECIPIENTS), "not everything was told")
        running.send_signal(signal.SIGTERM)
        assert running.wait(180) == 0
    finally:
        running.kill()
    assert heartbeat.read(tmp_path, "scheduler").doing is Doing.STOPPED
    assert len({data["decision_id"] for _, data in heard()}) == len(heard()) == len(RECIPIENTS)
