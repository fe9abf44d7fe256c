"""What waits is counted at the moment it waits for, until it goes, is given up or is over; not a unit more or less."""

import threading
from collections import Counter
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text

from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.contact_tables import contact, contact_use
from adapters.postgres.decisions import DecisionLog
from adapters.settings import Settings
from domain.contact_budget import ContactBudget
from domain.handover import Verdict
from domain.values import Reason
from serving.decide import Decider
from tests.handover_scene import MORNING, NIGHT, Scene

AT_ONCE = 30
TWO_A_DAY = {"id": "two", "limit": 2, "calendar": "day"}
THREE_ROLLING = {"id": "three", "limit": 3, "rolling_minutes": 60}
A_MINUTE = {"id": "minute", "per": "tenant", "limit": 1, "calendar": "minute", "scope": {"channel": "email"}}


@pytest.fixture
def scene(db, box, tenant):
    return Scene(db, box, tenant, recipients=("r", "s", "t"))


def put(scene, *rules):
    ContactBudgets(scene.db).publish(scene.tenant, ContactBudget(rules=rules), actor="test")


def contacts(scene) -> tuple[int, int]:
    """How many are reserved, and how many were made."""
    with scene.db.tenant(scene.tenant.tenant) as connection:
        rows = connection.execute(select(contact.c.reserved_until)).all()
    return sum(each[0] is not None for each in rows), sum(each[0] is None for each in rows)


def moment(answer) -> datetime:
    return datetime.fromisoformat(answer["send_at"])


def test_what_waits_counts_for_everybody_else_on_the_day_it_waits_for(scene) -> None:
    put(scene, TWO_A_DAY)
    waiting = [scene.ask() for _ in range(2)]
    assert {each["send_at"] for each in waiting} == {"2026-03-03T13:00:00Z"}
    third = scene.ask()
    assert third["send_at"] == "2026-03-04T13:00:00Z", "the day is full, so the next morning"
    assert scene.ask(now=MORNING + timedelta(minutes=1))["reason"] == "budget.recipient"
    assert scene.ask("s")["send_at"] == "2026-03-03T13:00:00Z", "somebody else's day is their own"
    assert [scene.hand_over(each).verdict for each in waiting] == [Verdict.GO, Verdict.GO]
    assert contacts(scene) == (3, 2)


def test_a_reservation_of_another_day_leaves_today_alone(scene) -> None:
    put(scene, {"id": "one", "limit": 1, "calendar": "day"})
    evening = NIGHT - timedelta(hours=2, minutes=30)
    assert scene.ask(now=evening)["outcome"] == "defer"
    assert scene.ask(now=evening - timedelta(hours=3))["outcome"] == "send_now"


def test_at_once_no_more_is_reserved_for_one_moment_than_fits(scene) -> None:
    put(scene, THREE_ROLLING)
    gate, answers = threading.Barrier(AT_ONCE), []

    def one():
        gate.wait()
        answers.append(scene.ask())

    threads = [threading.Thread(target=one) for _ in range(AT_ONCE)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert set(Counter(moment(each) for each in answers).values()) == {3}


def test_once_it_is_over_a_reservation_counts_for_nothing_though_nobody_takes_it_out(scene) -> None:
    put(scene, {"id": "one", "limit": 1, "calendar": "day"})
    scene.ask(message={"expires_at": (MORNING + timedelta(hours=1)).isoformat()})
    assert scene.ask(now=MORNING + timedelta(minutes=59))["reason"] == "budget.recipient"
    assert scene.ask(now=MORNING + timedelta(hours=1))["outcome"] == "send_now"
    assert contacts(scene) == (2, 1), "the one that is over, and the second question's"


def test_a_failure_after_the_hand_over_gives_the_contact_back_under_either_id(scene) -> None:
    put(scene, {"id": "one", "limit": 1, "calendar": "day"})
    answer = scene.ask()
    handed = scene.hand_over(answer)
    assert scene.hear("notification_sent", answer["decision_id"], at=MORNING) == "stored"
    assert contacts(scene) == (0, 1), "reported back, not charged again"
    assert scene.ask(now=MORNING + timedelta(minutes=1))["reason"] == "budget.recipient"
    scene.hear("failed", answer["decision_id"], at=MORNING + timedelta(minutes=1))
    assert scene.ask(now=MORNING + timedelta(minutes=2))["outcome"] == "send_now"
    assert handed.verdict is Verdict.GO


def test_what_was_sent_before_it_was_asked_for_is_charged_once(scene) -> None:
    answer = scene.ask()
    scene.hear("notification_sent", answer["decision_id"], at=NIGHT)
    assert contacts(scene) == (0, 1)


def test_a_full_channel_lets_a_hand_over_wait_for_the_next_window(scene) -> None:
    put(scene, A_MINUTE)
    waiting = [scene.ask(each) for each in ("r", "s", "t")]
    now, gone = MORNING, []
    for _ in range(3):
        handed = [scene.hand_over(each, now=now) for each in waiting]
        gone.append(Counter(each.verdict for each in handed)[Verdict.GO])
        waits = [each for each in handed if each.verdict is Verdict.WAIT]
        assert {each.reason for each in waits} <= {Reason.BUDGET_CAPACITY}
        now += timedelta(minutes=1)
    assert gone == [1, 1, 1]
    with scene.db.tenant(scene.tenant.tenant) as connection:
        assert sorted(connection.execute(select(contact_use.c.used)).scalars()) == [1, 1, 1]


def test_a_window_that_fills_up_between_reading_and_charging_lets_a_hand_over_wait(scene) -> None:
    put(scene, A_MINUTE)
    answer = scene.ask()

    class Filling(DecisionLog):
        """Somebody else takes the last unit of the minute while we decide."""

        def _locked(self, connection, tenant, recipient_ids, *, now):
            if not filled:
                filled.append(scene.ask("s", now=MORNING))
            return super()._locked(connection, tenant, recipient_ids, now=now)

    filled = []
    plain = scene.handovers._decider
    scene.handovers._decider = Decider(
        Filling(scene.db), lambda: None, Settings(holdout_share=0, decision_postgres_ms=20_000)
    )
    handed = scene.hand_over(answer)
    scene.handovers._decider = plain
    assert filled[0]["outcome"] == "send_now"
    assert (handed.verdict, handed.reason) == (Verdict.WAIT, Reason.BUDGET_CAPACITY)
    assert scene.hand_over(answer, now=handed.opens_at).verdict is Verdict.GO


def test_a_connection_that_dies_while_it_hands_over_leaves_everything_as_it_was(scene) -> None:
    put(scene, TWO_A_DAY)
    answer = scene.ask()

    class Dying(DecisionLog):
        def _locked(self, connection, tenant, recipient_ids, *, now):
            read = super()._locked(connection, tenant, recipient_ids, now=now)
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
            return read

    plain = scene.handovers._decider
    scene.handovers._decider = Decider(
        Dying(scene.db), lambda: None, Settings(holdout_share=0, decision_postgres_ms=20_000)
    )
    with pytest.raises(Exception, match=r"(?i)PostgreSQL|terminat|connection"):
        scene.hand_over(answer, key="k")
    scene.handovers._decider = plain
    assert contacts(scene) == (1, 0)
    assert scene.hand_over(answer, key="k").verdict is Verdict.GO
    assert contacts(scene) == (0, 1)
