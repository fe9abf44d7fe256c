"""A merge and a withdrawal at once, on two connections: whichever commits first, the withdrawal holds for who stays."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from adapters.postgres import allowances
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.merges import Merges
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.preferences import Preferences
from adapters.settings import Settings
from domain.consent import ConsentChange, ConsentStatus, refusal
from domain.decision_request import DecisionRequest
from domain.ingest import parse
from domain.preferences import Preference
from domain.values import Channel, Purpose, Reason
from serving.asks import Ask
from serving.decide import Decider, new_id
from tests.builders import NOON, a_type

STAYS, OTHER = "stays", "other"


def said(status, **more):
    return ConsentChange(purpose=Purpose.MARKETING, status=status, source="test", **more)


@pytest.fixture
def consenting(db, tenant):
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    given = said(ConsentStatus.GIVEN, effective_at=NOON - timedelta(days=1))
    ConsentStore(db).record_many(tenant, {STAYS: [given], OTHER: [given]}, actor="test", now=NOON)
    return tenant


def merge(db, tenant):
    Merges(db).merge(tenant, STAYS, OTHER, reason="same person", actor="test", now=NOON)


def withdraw(db, tenant, who):
    change = said(ConsentStatus.WITHDRAWN, channel=Channel.EMAIL)
    ConsentStore(db).record(tenant, who, [change], actor="test", now=NOON)


def unsubscribe(db, tenant, who):
    event = {"source": "esp", "event_id": f"u-{who}", "type": "unsubscribed", "recipient_id": who, "channel": "email"}
    log = EventLog(db, EventEffects(), retention=timedelta(days=3650))
    log.append(tenant, [parse(event | {"occurred_at": NOON.isoformat()}, 0)], origin="t", received_at=NOON, now=NOON)


WAYS = {"withdrawal": withdraw, "event": unsubscribe}


def refused(db, tenant, who=STAYS):
    held = ConsentStore(db).allowances(tenant, who).consents
    return refusal(held, purpose=Purpose.MARKETING, channel=Channel.EMAIL, now=NOON)


WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE :pid = ANY(pg_blocking_pids(pid))")


def is_waited_for(db, tenant, pid):
    """Tell whether somebody waits for a transaction, on a connection of its own: the block's is this thread's."""
    found = []

    def ask():
        with db.tenant(tenant.tenant) as connection:
            found.append(connection.execute(WAITING, {"pid": pid}).scalar_one())

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    return found[0] > 0


def behind(db, tenant, first, second):
    """Do ``second`` in a thread while the transaction of ``first`` is open, and commit once it waits for it."""
    failures = []

    def watched():
        try:
            second()
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    thread = threading.Thread(target=watched)
    with db.joined(tenant.tenant) as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        first()
        thread.start()
        pause = threading.Event()
        for _ in range(1_000):
            if is_waited_for(db, tenant, pid):
                break
            pause.wait(0.01)
        else:
            connection.rollback()
            raise AssertionError("the second never waited for the first")
    thread.join()
    assert failures == []


@pytest.mark.parametrize("who", [STAYS, OTHER])
@pytest.mark.parametrize("way", WAYS)
def test_a_withdrawal_that_waits_for_a_merge_is_not_lost(db, consenting, way, who):
    behind(db, consenting, lambda: merge(db, consenting), lambda: WAYS[way](db, consenting, who))
    assert refused(db, consenting) is Reason.CONSENT_WITHDRAWN


@pytest.mark.parametrize("who", [STAYS, OTHER])
@pytest.mark.parametrize("way", WAYS)
def test_a_merge_that_waits_for_a_withdrawal_does_not_lose_it(db, consenting, way, who):
    behind(db, consenting, lambda: WAYS[way](db, consenting, who), lambda: merge(db, consenting))
    assert refused(db, consenting) is Reason.CONSENT_WITHDRAWN


def test_a_decision_that_waits_for_a_merge_is_made_about_who_stays(db, consenting):
    """It had read what the other allows; behind the merge it is refused, because who stays had withdrawn."""
    withdraw(db, consenting, STAYS)
    decider, found = Decider(DecisionLog(db), lambda: None, Settings(holdout_share=0, decision_postgres_ms=20_000)), []
    request = DecisionRequest.model_validate({"recipient_id": OTHER, "message": {"type": "news"}})

    def decide():
        found.extend(decider.decide(consenting, [Ask(new_id(), request)], now=NOON, actor="test"))

    behind(db, consenting, lambda: merge(db, consenting), decide)
    assert found[0].answer["channel"] != "email"


def test_whoever_resolved_an_id_before_the_merge_learns_of_it_and_writes_nothing(db, consenting):
    merge(db, consenting)
    with pytest.raises(allowances.Moved):
        Preferences(db).put(consenting, OTHER, Preference.model_validate({"value": {"enabled": False}}), actor="t")
    assert Preferences(db).all(consenting, OTHER, actor="t") == []


def test_merges_of_the_same_two_in_both_directions_end_with_one_alias(db, consenting):
    outcomes, start = [], threading.Barrier(2)

    def one(stays, other):
        start.wait()
        try:
            Merges(db).merge(consenting, stays, other, reason="same person", actor="t", now=NOON)
            outcomes.append("merged")
        except ValueError:
            outcomes.append("same")

    threads = [threading.Thread(target=one, args=pair) for pair in ((STAYS, OTHER), (OTHER, STAYS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["merged", "same"]
