"""A cap holds whoever asks at once, and what is charged is exactly what was sent and got through."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from adapters.keyring import Keyring
from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.consent import ConsentStore
from adapters.postgres.contact_tables import contact, contact_use
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.engine import Database
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.versioned_documents import DocumentChanged
from adapters.settings import Settings
from domain.consent import ConsentChange, ConsentStatus
from domain.contact_budget import DEFAULT, ContactBudget
from domain.decision_request import DecisionRequest
from domain.ingest import parse
from domain.values import Purpose
from serving.asks import Ask
from serving.decide import Decider, new_id
from tests.api import KEYS
from tests.builders import NOON, a_type

AT_ONCE = 50
THREE_A_DAY = {"id": "three", "limit": 3, "calendar": "day", "scope": {"class": "marketing"}}
FIVE_A_MINUTE = {"id": "five", "per": "tenant", "limit": 5, "calendar": "minute", "scope": {"channel": "email"}}


def a_budget(*rules) -> ContactBudget:
    return ContactBudget(rules=rules)


@pytest.fixture
def consenting(db, tenant):
    """A marketing type on e-mail alone, which rules always send, and recipients who agree."""
    on_email = {"channels": ["email"], "variants": [{"id": "a", "content": {"email": {"body": "b"}}}]}
    MessageTypes(db).publish(tenant, [a_type(**on_email)], actor="test")
    grant = ConsentChange(
        purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="t", effective_at=NOON - timedelta(days=1)
    )
    recipients = ["r", *(f"r{number}" for number in range(AT_ONCE))]
    ConsentStore(db).record_many(tenant, {each: [grant] for each in recipients}, actor="test", now=NOON)
    return tenant


@pytest.fixture(scope="module")
def crowd(databases):
    """The application's database with a connection for everybody who asks at once."""
    database = Database(databases.app, keyring=Keyring.given(KEYS), pool_size=AT_ONCE // 2)
    yield database
    database.close()


@pytest.fixture
def decider(crowd):
    return Decider(DecisionLog(crowd), lambda: None, Settings(holdout_share=0, decision_postgres_ms=20_000))


def an_ask(recipient="r", decision_id=None, **fields) -> Ask:
    body = {"recipient_id": recipient, "message": {"type": "news"}} | fields
    return Ask(decision_id or new_id(), DecisionRequest.model_validate(body), may_repeat=decision_id is not None)


def decide(decider, tenant, *asks, now=NOON) -> list[dict]:
    return [each.answer for each in decider.decide(tenant, asks, now=now, actor="test")]


def at_once(decider, tenant, asks) -> Counter:
    """Every ask in a thread of its own, let loose together; returns the outcomes."""
    gate, outcomes, failures = threading.Barrier(len(asks)), [], []

    def one(ask):
        try:
            gate.wait()
            outcomes.extend(each["outcome"] for each in decide(decider, tenant, ask))
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=one, args=(ask,)) for ask in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    return Counter(outcomes)


def sent(outcomes) -> int:
    return Counter(outcomes)["send_now"]


def charged(db, tenant) -> int:
    with db.tenant(tenant.tenant) as connection:
        return len(
            connection.execute(
                select(contact).where(contact.c.released_at.is_(None), contact.c.reserved_until.is_(None))
            ).all()
        )


def used(db, tenant) -> int:
    with db.tenant(tenant.tenant) as connection:
        return sum(connection.execute(select(contact_use.c.used)).scalars())


def an_event(db, tenant, kind, *, number=0, at=NOON, **fields):
    given = {"source": "esp", "event_id": f"{kind}{number}", "type": kind, "recipient_id": "r", "channel": "email"}
    given |= {"occurred_at": at.isoformat(), "message_type": "news"} | fields
    log = EventLog(db, EventEffects(), retention=timedelta(days=3650))
    (verdict,) = log.append(tenant, [parse(given, 0)], origin="test", received_at=NOON, now=NOON)
    return verdict.verdict.value


def test_fifty_decisions_at_once_against_a_cap_of_three_send_three(db, consenting, decider) -> None:
    ContactBudgets(db).publish(consenting, a_budget(THREE_A_DAY), actor="test")
    for recipient in ("r1", "r2"):
        outcomes = at_once(decider, consenting, [an_ask(recipient) for _ in range(AT_ONCE)])
        assert outcomes["send_now"] == 3
    assert charged(db, consenting) == 6


def test_a_channel_that_carries_five_carries_five_of_fifty_recipients(db, consenting, decider) -> None:
    ContactBudgets(db).publish(consenting, a_budget(FIVE_A_MINUTE), actor="test")
    outcomes = at_once(decider, consenting, [an_ask(f"r{number}") for number in range(AT_ONCE)])
    assert outcomes["send_now"] == 5
    assert used(db, consenting) == 5


def test_a_batch_obeys_the_same_caps_as_single_decisions(db, consenting, decider) -> None:
    ContactBudgets(db).publish(consenting, a_budget(THREE_A_DAY, FIVE_A_MINUTE), actor="test")
    answers = decide(decider, consenting, *(an_ask("r") for _ in range(6)))
    assert sent(each["outcome"] for each in answers) == 3
    answers = decide(decider, consenting, *(an_ask(f"r{number}") for number in range(10)))
    assert sent(each["outcome"] for each in answers) == 2
    late = [each["reason"] for each in answers if each["outcome"] == "suppress"]
    assert set(late) == {"budget.capacity"}


def test_over_the_cap_the_answer_is_when_there_is_room_again(db, consenting, decider) -> None:
    rolling = {"id": "two", "limit": 2, "rolling_minutes": 60}
    ContactBudgets(db).publish(consenting, a_budget(rolling), actor="test")
    for minute in (0, 10):
        decide(decider, consenting, an_ask(), now=NOON + timedelta(minutes=minute))
    (answer,) = decide(decider, consenting, an_ask(), now=NOON + timedelta(minutes=20))
    assert (answer["outcome"], answer["reason"]) == ("defer", "budget.recipient")
    assert answer["send_at"] == "2026-03-02T18:00:00Z"
    assert answer["refusals"] == [{"channel": "email", "reason": "budget.recipient", "rule": "two"}]
    (answer,) = decide(decider, consenting, an_ask(), now=NOON + timedelta(minutes=60))
    assert answer["send_at"] == "2026-03-02T18:10:00Z", "the room at 18:00 is kept for who asked first"


def test_a_retry_is_charged_once(db, consenting, decider) -> None:
    ContactBudgets(db).publish(consenting, a_budget(THREE_A_DAY, FIVE_A_MINUTE), actor="test")
    asks = [an_ask(decision_id="one-key") for _ in range(8)]
    assert at_once(decider, consenting, asks)["send_now"] == 8
    assert (charged(db, consenting), used(db, consenting)) == (1, 1)


def test_what_was_sent_elsewhere_counts_and_what_is_reported_back_does_not_count_twice(db, consenting, decider) -> None:
    ContactBudgets(db).publish(consenting, a_budget(THREE_A_DAY, FIVE_A_MINUTE), actor="test")
    (answer,) = decide(decider, consenting, an_ask())
    assert an_event(db, consenting, "notification_sent", decision_id=answer["decision_id"]) == "stored"
    assert charged(db, consenting) == 1
    for number in (1, 2):
        an_event(db, consenting, "notification_sent", number=number)
    an_event(db, consenting, "notification_sent", number=1)
    assert (charged(db, consenting), used(db, consenting)) == (3, 3)
    (answer,) = decide(decider, consenting, an_ask())
    assert answer["reason"] == "budget.recipient"


def test_a_failure_gives_the_contact_back_once_and_nobody_elses(db, consenting, decider) -> None:
    ContactBudgets(db).publish(consenting, a_budget(THREE_A_DAY), actor="test")
    ids = [decide(decider, consenting, an_ask())[0]["decision_id"] for _ in range(3)]
    assert decide(decider, consenting, an_ask())[0]["outcome"] == "defer"
    for number in (1, 2):
        an_event(db, consenting, "failed", number=number, decision_id=ids[0])
    an_event(db, consenting, "failed", number=3)
    assert charged(db, consenting) == 2
    answers = [decide(decider, consenting, an_ask())[0]["outcome"] for _ in range(2)]
    assert answers == ["send_now", "defer"]


def test_a_connection_that_dies_while_it_decides_charges_nothing(db, consenting, decider) -> None:
    ContactBudgets(db).publish(consenting, a_budget(THREE_A_DAY, FIVE_A_MINUTE), actor="test")

    class Dying(DecisionLog):
        def _locked(self, connection, tenant, recipient_ids, *, now):
            read = super()._locked(connection, tenant, recipient_ids, now=now)
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
            return read

    with pytest.raises(Exception, match=r"(?i)PostgreSQL|terminat|connection"):
        decide(
            Decider(Dying(db), lambda: None, Settings(holdout_share=0, decision_postgres_ms=20_000)),
            consenting,
            an_ask(),
        )
    assert (charged(db, consenting), used(db, consenting)) == (0, 0)
    assert sent(decide(decider, consenting, an_ask())[0]["outcome"] for _ in range(5)) == 3


def test_what_is_shipped_holds_until_a_tenant_says_otherwise_and_versions_are_not_overwritten(db, tenant) -> None:
    budgets = ContactBudgets(db)
    assert (budgets.get(tenant).version, budgets.get(tenant).document) == (0, DEFAULT)
    assert budgets.publish(tenant, a_budget(THREE_A_DAY), actor="test", if_version=0).version == 1
    assert budgets.publish(tenant, a_budget(THREE_A_DAY), actor="test").version == 1
    with pytest.raises(DocumentChanged, match="version 1"):
        budgets.publish(tenant, a_budget(FIVE_A_MINUTE), actor="test", if_version=0)
    assert budgets.get(tenant).document == a_budget(THREE_A_DAY)


def test_the_record_holds_the_rules_and_the_contacts_the_decision_saw(db, consenting, decider) -> None:
    ContactBudgets(db).publish(consenting, a_budget(THREE_A_DAY), actor="test")
    decide(decider, consenting, an_ask())
    (answer,) = decide(decider, consenting, an_ask())
    kept = DecisionLog(db).get(consenting, answer["decision_id"], actor="test")["allowances"]
    assert [rule["id"] for rule in kept["budget"]["rules"]] == ["three"]
    assert [each["channel"] for each in kept["contacts"]] == ["email"]
