"""Batches of decisions over HTTP: each item has its own verdict, and no item spoils another."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from adapters.postgres.consent import ConsentStore
from adapters.postgres.engine import Database
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import decision
from adapters.postgres.tenants import Tenants
from domain.consent import ConsentChange, ConsentStatus
from domain.values import Purpose
from tests.builders import NOON, a_type

WHERE = "/v1/decisions/batch"
FUSSY = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}


@pytest.fixture
def world(db, box, tenant):
    """A tenant at noon with two types and consent of ``r``."""
    shifted = Tenants(db, box).shift_clock(tenant.tenant, (NOON - datetime.now(UTC)).total_seconds())
    MessageTypes(db).publish(tenant, [a_type(), a_type(type="fussy", variables=FUSSY)], actor="test")
    given = ConsentChange(
        purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="test", effective_at=NOON - timedelta(days=9)
    )
    ConsentStore(db).record(tenant, "r", [given], actor="test", now=NOON)
    return shifted


def item(recipient="r", type="news", key=None, **fields):  # noqa: A002 - the contract's own word
    request = {"recipient_id": recipient, "message": {"type": type} | fields.pop("message", {})} | fields
    return {"request": request} | ({"idempotency_key": key} if key is not None else {})


def ask(api, *items, key=None):
    return api.post(WHERE, json={"decisions": list(items)}, headers={"Idempotency-Key": key} if key else {})


def count(db, tenant):
    with db.tenant(tenant.tenant) as connection:
        return connection.execute(select(func.count()).select_from(decision)).scalar_one()


def test_an_item_that_cannot_be_decided_spoils_nothing_for_the_others(api, world, db):
    answer = ask(
        api,
        item(),
        item(type="no_such_type"),
        item(type="fussy"),
        {"request": {"recipient_id": 7}},
        item(recipient="stranger"),
        item(service_level="royal"),
        {"recipient_id": "r"},
    )
    assert answer.status_code == 200
    told = answer.json()
    assert (told["decided"], told["refused"]) == (2, 5)
    first, unknown, unfit, shapeless, stranger, level, bare = told["verdicts"]
    assert [each["position"] for each in told["verdicts"]] == list(range(7))
    assert first["decision"]["outcome"] == "send_now"
    assert first["decision"]["content"]["subject"] == "s"
    assert (unknown["problem"]["code"], unknown["problem"]["errors"][0]["field"]) == (
        "message.unknown_type", "request.message.type",
    )  # fmt: skip
    assert unfit["problem"]["errors"][0]["field"] == "request.message.variables"
    assert {each["field"] for each in shapeless["problem"]["errors"]} == {"request.recipient_id", "request.message"}
    assert stranger["decision"]["reason"] == "consent.missing"
    assert [each["field"] for each in level["problem"]["errors"]] == ["request.service_level"]
    assert "request" in bare["problem"]["errors"][0]["expected"]
    assert count(db, world) == 2


def test_a_template_that_cannot_be_filled_is_its_own_items_fault(api, world, db, tenant):
    variants = [{"id": "a", "content": {"email": {"subject": "{{ who }}", "body": "{{ who.name | divided_by: 0 }}"}}}]
    variables = {"type": "object"}
    broken = a_type(type="broken", channels=["email"], variants=variants, variables=variables)
    MessageTypes(db).publish(tenant, [broken], actor="test")
    told = ask(api, item(type="broken", message={"variables": {"who": {"name": 1}}}), item()).json()
    assert [each["verdict"] for each in told["verdicts"]] == ["refused", "decided"]
    assert told["verdicts"][0]["problem"]["code"] == "message.cannot_render"


def test_a_key_stands_for_one_decision_alone_in_a_batch_and_twice_in_one(api, world, db):
    single = api.post("/v1/decisions", json=item()["request"], headers={"Idempotency-Key": "k"}).json()
    told = ask(api, item(key="k"), item(key="new"), item(key="new"), item(recipient="other", key="new")).json()
    again, new, twice, other = told["verdicts"]
    assert again["decision"] == single
    assert new["decision"] == twice["decision"]
    assert other["problem"] == {
        "code": "request.key_reused",
        "detail": "This key stands for another request.",
        "errors": [{"field": "idempotency_key", "expected": "a key that was not used for another request"}],
    }
    assert count(db, world) == 2


def test_the_batchs_key_and_the_position_stand_for_an_item_without_a_key(api, world, db):
    first, second = (ask(api, item(), item(recipient="s"), key="b").json() for _ in range(2))
    assert first == second
    ids = {each["decision"]["decision_id"] for each in first["verdicts"]}
    assert len(ids) == 2
    alone = ask(api, item(), key="other").json()["verdicts"][0]["decision"]["decision_id"]
    assert alone not in ids
    assert count(db, world) == 3


def test_what_one_item_sends_counts_for_the_next(api, world):
    rules = {"rules": [{"id": "one", "limit": 1, "calendar": "day", "scope": {"class": "marketing"}}]}
    assert api.put("/v1/admin/contact-budget", json=rules).status_code == 200
    told = ask(api, *[item() for _ in range(3)]).json()["verdicts"]
    outcomes = [each["decision"]["outcome"] for each in told]
    assert outcomes.count("send_now") == 1


def test_a_batch_takes_as_many_transactions_as_a_single_decision(api, world, monkeypatch):
    opened = []
    whole = Database.tenant

    def counted(self, tenant):
        # The service's own threads look after hooks and jobs meanwhile.
        if "AnyIO" in threading.current_thread().name:
            opened.append(tenant)
        return whole(self, tenant)

    monkeypatch.setattr(Database, "tenant", counted)

    def transactions(*items):
        opened.clear()
        assert ask(api, *items).status_code == 200
        return len(opened)

    transactions(item())  # what is asked once a minute, such as the caller's key, is not counted
    assert transactions(item()) == transactions(*[item(recipient=f"r-{n}") for n in range(40)]) > 0


@pytest.mark.parametrize("body", [{}, {"decisions": []}, {"decisions": {}}, {"decisions": [{}], "more": 1}, []])
def test_what_is_no_batch_is_refused_by_name(api, body):
    answer = api.post(WHERE, json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, "decisions")


def test_a_thousand_fit_and_one_more_does_not(api, world, db):
    small = item(recipient="stranger")
    assert ask(api, *[small] * 1_001).status_code == 422
    assert count(db, world) == 0
    assert ask(api, *[small] * 1_000).json()["decided"] == 1_000


@pytest.mark.parametrize("no_key", ["", "a b", 7, "k" * 256])
def test_a_key_that_is_none_is_refused_by_name(api, world, no_key):
    answer = ask(api, {"request": item()["request"], "idempotency_key": no_key}).json()["verdicts"][0]
    assert answer["problem"]["errors"][0]["field"] == "idempotency_key"
