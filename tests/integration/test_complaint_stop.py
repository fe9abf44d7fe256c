"""The stop at too many complaints: counted with the events that tell of them, held while the share is too high."""

from datetime import timedelta

import pytest

from adapters.postgres import mail_counts
from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.message_types import MessageTypes
from adapters.settings import Settings
from domain.consent import ConsentChange, ConsentStatus
from domain.contact_budget import ContactBudget
from domain.decision_request import DecisionRequest
from domain.ingest import parse
from domain.values import Purpose
from serving.asks import Ask
from serving.decide import Decider, new_id
from tests.builders import NOON, a_type

DAY = timedelta(days=1)


@pytest.fixture
def store(db, tenant):
    def store(kind, count=1, at=NOON, channel="email"):
        same = {"source": "esp", "type": kind, "channel": channel, "occurred_at": at.isoformat()}
        given = [
            same | {"event_id": f"{kind}-{channel}-{at}-{number}", "recipient_id": f"other-{number}"}
            for number in range(count)
        ]
        log = EventLog(db, EventEffects(), retention=timedelta(days=3650))
        parsed = [parse(each, place) for place, each in enumerate(given)]
        log.append(tenant, parsed, origin="test", received_at=at, now=NOON)

    return store


@pytest.fixture
def share(db, tenant):
    def share(days=7):
        with db.tenant(tenant.tenant) as connection:
            return mail_counts.share(connection, now=NOON, days=days)

    return share


def test_a_share_counts_mail_of_the_days_before_and_each_event_once(store, share):
    assert share() is None
    store("complained")
    assert share() is None
    store("notification_sent", 500)
    store("delivered", 400)
    store("notification_sent", 500)
    store("notification_sent", 500, at=NOON - 8 * DAY)
    store("complained", channel="push")
    assert share() == 1 / 500
    store("complained", 2, at=NOON - 7 * DAY)
    assert share() == 3 / 500


def decide(db, tenant, now=NOON, **fields):
    decider = Decider(DecisionLog(db), lambda: None, Settings(holdout_share=0, decision_postgres_ms=20_000))
    request = DecisionRequest.model_validate({"recipient_id": "r", "message": {"type": "news"}} | fields)
    (recorded,) = decider.decide(tenant, [Ask(new_id(), request)], now=now, actor="test")
    return recorded.answer


def test_at_three_complaints_in_a_thousand_marketing_mail_is_held_and_a_push_is_not(db, tenant, store):
    # A thousand messages in one minute are as many as e-mail carries unless the tenant says otherwise.
    ContactBudgets(db).publish(tenant, ContactBudget(), actor="test")
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    grant = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="test", effective_at=NOON)
    ConsentStore(db).record(tenant, "r", [grant], actor="test", now=NOON)
    store("notification_sent", 1000)
    store("complained", 2)
    assert decide(db, tenant)["channel"] == "email"
    store("complained", 3)
    held = decide(db, tenant)
    assert (held["channel"], held["versions"]["rules"]) == ("push", "2026-11")
    assert {each["channel"]: each["reason"] for each in held["refusals"]} == {"email": "law.complaint_stop"}
    assert decide(db, tenant, channels=["email"])["reason"] == "law.complaint_stop"
    assert decide(db, tenant, channels=["email"], now=NOON + 9 * DAY)["outcome"] == "send_now"
