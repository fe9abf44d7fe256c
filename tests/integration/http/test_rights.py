"""Correction, objection, explanation and a human's review over HTTP."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from adapters.postgres.audit_trail import AuditTrail, Wanted
from adapters.postgres.learning_facts import LearningFacts
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.suppressed_addresses import SuppressedAddresses
from adapters.postgres.tenants import Tenants
from adapters.settings import Settings
from domain.consent import ConsentStatus
from domain.values import Channel, Purpose
from tests.builders import NOON, a_type

WHO = "/v1/recipients/r"
GIVEN = {"status": "given", "source": "form", "text_version": "1"}


@pytest.fixture
def marketing(db, box, tenant):
    """A tenant at noon with one type of marketing."""
    Tenants(db, box).shift_clock(tenant.tenant, (NOON - datetime.now(UTC)).total_seconds())
    MessageTypes(db).publish(tenant, [a_type()], actor="test")


def decide(api):
    return api.post("/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}}).json()


def refusals(api, decision):
    record = api.get(f"/v1/decisions/{decision['decision_id']}").json()
    return {each["reason"] for each in record["refusals"]}


def test_an_objection_ends_marketing_at_once_and_no_later_grant_or_operator_lifts_it(api, marketing, db, tenant):
    api.post(f"{WHO}/consents", json=GIVEN | {"purpose": "marketing"})
    api.put(f"{WHO}/addresses/email", json={"address": "r@example.org"})
    assert "suppression.objected" not in refusals(api, decide(api))
    assert api.post(f"{WHO}/objection", json={}).json()["against"] == "marketing"
    told = decide(api)
    assert told["outcome"] == "suppress"
    assert refusals(api, told) == {"suppression.objected"}
    # A grant that is later than the objection, as an import would bring it, and an operator at the suppression list.
    assert api.post(f"{WHO}/consents", json=GIVEN | {"purpose": "marketing"}).status_code == 200
    listed = {"channel": "email", "address": "r@example.org"}
    api.post("/v1/suppressions", json=listed)
    assert api.post("/v1/suppressions/lift", json=listed | {"reason": "mistake"}).status_code == 200
    assert refusals(api, decide(api)) == {"suppression.objected"}
    with pytest.raises(ProgrammingError), db.tenant(tenant.tenant) as connection:
        connection.execute(text("DELETE FROM objection"))


def test_an_objection_is_no_cause_an_address_can_have(api):
    given = {"channel": "email", "address": "r@example.org", "cause": "objected"}
    assert api.post("/v1/suppressions", json=given).json()["field"] == "cause"


def test_saying_it_twice_is_once_and_the_first_moment_stays(api, db, tenant):
    first = api.post(f"{WHO}/objection", json={"against": "profiling", "source": "letter"}).json()
    assert api.post(f"{WHO}/objection", json={"against": "profiling"}).json() == first
    rows = AuditTrail(db).page(tenant, Wanted(action="objection.recorded"), limit=10, actor="test")
    assert [row.object for row in rows] == ["objection:profiling"]


def test_an_objection_to_profiling_stops_features_and_learning_and_not_marketing(api, marketing, db, batch_db, tenant):
    for purpose in ("marketing", "personalization"):
        api.post(f"{WHO}/consents", json=GIVEN | {"purpose": purpose})
    api.post(f"{WHO}/objection", json={"against": "profiling"})
    api.post(f"{WHO}/consents", json=GIVEN | {"purpose": "personalization"})
    record = api.get(f"/v1/decisions/{decide(api)['decision_id']}").json()
    assert record["may_personalize"] is False
    assert record["refusals"] == []
    learnt = LearningFacts(batch_db, Settings().legal_rules).read().histories[tenant.tenant, "r"]
    statuses = [state.status for state in learnt if state.purpose is Purpose.PERSONALIZATION]
    assert statuses == [ConsentStatus.GIVEN, ConsentStatus.WITHDRAWN]


def test_a_correction_keeps_what_was_known_before_and_why_it_was_changed(api, db, tenant):
    zone = {"name": "Europe/Paris", "source": "declared"}
    api.put(f"{WHO}/profile", json={"city": "Lavall", "time_zone": zone})
    api.put(f"{WHO}/addresses/email", json={"address": "old@example.org"})
    right = {"city": "Laval", "time_zone": {"name": "America/Toronto", "source": "device"}}
    body = {"profile": right, "addresses": {"email": "new@example.org"}, "reason": "misspelt, letter of 3 March"}
    done = api.post(f"{WHO}/rectification", json=body).json()
    assert done["profile"]["profile"]["city"] == "Laval"
    assert done["profile"]["profile"]["time_zone"]["name"] == "America/Toronto"
    versions = api.get(f"{WHO}/profile/history").json()["versions"]
    assert [(each["profile"]["city"], each["reason"]) for each in versions] == [
        ("Laval", "misspelt, letter of 3 March"),
        ("Lavall", None),
    ]
    addresses = SuppressedAddresses(db)
    assert addresses.owners(tenant, Channel.EMAIL, "new@example.org") == ["r"]
    assert addresses.owners(tenant, Channel.EMAIL, "old@example.org") == []
    [row] = AuditTrail(db).page(tenant, Wanted(action="recipient.rectified"), limit=10, actor="test")
    assert row.reason == "misspelt, letter of 3 March"
    assert row.detail == {"facts": ["city", "time_zone"], "addresses": ["email"]}


def test_half_a_correction_is_none(api):
    api.put(f"{WHO}/profile", json={"city": "Lavall"})
    body = {"profile": {"city": "Laval"}, "addresses": {"email": "no address"}, "reason": "misspelt"}
    answer = api.post(f"{WHO}/rectification", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, "addresses")
    assert api.get(f"{WHO}/profile").json()["profile"]["city"] == "Lavall"
    for refused in ({"profile": {"city": "Laval"}}, {"reason": "nothing"}):
        assert api.post(f"{WHO}/rectification", json=refused).status_code == 422
    assert api.post("/v1/recipients/s/rectification", json={"profile": {}, "reason": "r"}).status_code == 422
    assert api.post("/v1/recipients/s/rectification", json=body | {"addresses": {}}).status_code == 404


def test_every_decision_about_a_recipient_is_told_in_sentences_newest_first(api, marketing):
    ids = [decide(api)["decision_id"] for _ in range(3)]
    other = api.post("/v1/decisions", json={"recipient_id": "s", "message": {"type": "news"}}).json()
    told = api.get(f"{WHO}/decisions").json()["decisions"]
    assert [each["decision_id"] for each in told] == ids[::-1]
    assert other["decision_id"] not in str(told)
    assert told[0]["sentences"][0] == "Do not send: The recipient has not consented."
    before = api.get(f"{WHO}/decisions", params={"before": told[0]["decided_at"], "limit": 1}).json()["decisions"]
    assert [each["decision_id"] for each in before] == [ids[1]]


def test_a_contested_decision_waits_for_a_human_and_is_answered_once(api, marketing, db, tenant):
    decision = decide(api)["decision_id"]
    asked = api.post(f"/v1/decisions/{decision}/contest", json={"statement": "I never refused."})
    assert asked.status_code == 202
    where = f"/v1/contests/{asked.json()['contest_id']}"
    [waiting] = api.get("/v1/contests").json()["contests"]
    assert (waiting["statement"], waiting["verdict"]) == ("I never refused.", None)
    review = {"verdict": "overturned", "answer": "You are right; we asked again."}
    assert api.post(f"{where}/review", json=review).json()["verdict"] == "overturned"
    assert api.post(f"{where}/review", json=review).json()["code"] == "contest.answered"
    assert api.get("/v1/contests").json()["contests"] == []
    assert api.get(where).json()["answer"] == "You are right; we asked again."
    with db.tenant(tenant.tenant) as connection:
        stored = connection.execute(text("SELECT c::text FROM decision_contest c")).scalar_one()
    assert b"never refused".hex() not in stored
    assert "never refused" not in stored


def test_what_is_not_there_cannot_be_contested_or_reviewed(api):
    review = {"verdict": "upheld", "answer": "no"}
    assert api.post("/v1/decisions/none/contest", json={"statement": "no"}).status_code == 404
    assert api.get("/v1/contests/none").status_code == 404
    assert api.post("/v1/contests/none/review", json=review).status_code == 404


def test_the_moment_of_an_objection_is_the_tenants(api):
    since = datetime.fromisoformat(api.post(f"{WHO}/objection", json={}).json()["since"])
    assert abs((datetime.now(UTC) - since).total_seconds()) < 3600
