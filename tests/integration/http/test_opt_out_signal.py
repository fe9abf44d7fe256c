"""``Sec-GPC``: a browser's opt-out is recorded on whatever request brings it, where the law says so, and stays."""

from datetime import UTC, datetime

import pytest

from adapters.postgres.consent import ConsentStore
from adapters.postgres.message_types import MessageTypes
from adapters.unsubscribe_links import UnsubscribeLinks
from domain.one_click import UnsubscribeGrant
from domain.values import Purpose
from tests.builders import a_type

GPC = {"Sec-GPC": "1"}
R = "/v1/recipients/r"
REQUESTS = [
    ("POST", f"{R}/opt-out-signal", None),
    ("POST", f"{R}/consents", {"purpose": "marketing", "status": "given", "source": "form"}),
    ("POST", f"{R}/consents/withdraw", {"purpose": "location"}),
    ("PUT", f"{R}/channels/sms", {"is_on": False}),
    ("PUT", f"{R}/preferences", {"scope": {}, "value": {"enabled": True}}),
    ("PUT", f"{R}/profile", {"locale": "en"}),
    ("PATCH", f"{R}/profile", {"locale": "en"}),
]


def agree(api, purpose="personalization", **fields):
    body = {"purpose": purpose, "status": "given", "source": "form"} | fields
    return api.post(f"{R}/consents", json=body).json()


def standing(api, purpose="personalization"):
    consents = api.get(f"{R}/consents").json()["consents"]
    return {each["channel"]: each["status"] for each in consents if each["purpose"] == purpose}


def records(api):
    return [each for each in api.get(f"{R}/consents").json()["history"] if each["source"] == "opt_out_signal"]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS, ids=[f"{m} {p}" for m, p, _ in REQUESTS])
def test_whatever_request_brings_the_signal_ends_sharing_and_profiling(api, method, path, body):
    api.put(f"{R}/profile", json={"locale": "fr"})
    agree(api)
    answer = api.request(method, path, json=body, headers=GPC)
    assert answer.status_code == 200, answer.text
    assert (standing(api), standing(api, "analytics")) == ({"*": "withdrawn"}, {"*": "withdrawn"})
    proof = records(api)[0]["proof"]
    assert (proof["header"], proof["value"], proof["rule"]) == ("Sec-GPC", "1", "ccpa.opt_out_signal")
    assert proof["request_id"]
    (row,) = [
        each
        for each in api.get("/v1/audit", params={"action": "consent.withdrawn"}).json()["entries"]
        if each["object"] == "consent:personalization:*"
    ]
    assert (row["context"]["rules"], row["detail"]["source"]) == (["ccpa.opt_out_signal"], "opt_out_signal")


def test_the_document_names_the_header_on_exactly_the_routes_that_heed_it(server):
    document = server.get("/openapi.json").json()
    named = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if isinstance(operation, dict) and any(each["name"] == "Sec-GPC" for each in operation.get("parameters", ()))
    }
    expected = {
        (method, path.replace("/r/", "/{recipient_id}/").replace("sms", "{channel}")) for method, path, _ in REQUESTS
    }
    preferences = "/v1/recipients/{recipient_id}/preferences"
    advice = {("POST", f"{preferences}/recommendations/{{recommendation_id}}/{act}") for act in ("accept", "dismiss")}
    assert named == expected | advice | {("DELETE", f"{preferences}/{{preference_id}}")}


@pytest.mark.parametrize("headers", [{}, {"Sec-GPC": "0"}, {"Sec-GPC": ""}, {"DNT": "1"}])
def test_nothing_else_is_a_signal(api, headers):
    agree(api)
    assert api.post(f"{R}/opt-out-signal", headers=headers).json() == {"withdrawn": []}
    assert standing(api) == {"*": "given"}


def test_where_no_rule_says_so_the_signal_changes_nothing(api):
    api.put(f"{R}/profile", json={"country": "FR"})
    agree(api)
    assert api.post(f"{R}/opt-out-signal", headers=GPC).json() == {"withdrawn": []}
    assert standing(api) == {"*": "given"}


def test_a_signal_that_comes_with_every_page_is_recorded_once_and_its_absence_brings_nothing_back(api):
    agree(api)
    assert api.post(f"{R}/opt-out-signal", headers=GPC).json()["withdrawn"] == ["personalization", "analytics"]
    assert api.post(f"{R}/opt-out-signal", headers=GPC).json()["withdrawn"] == []
    assert api.post(f"{R}/opt-out-signal").json()["withdrawn"] == []
    assert len(records(api)) == 2
    assert standing(api) == {"*": "withdrawn"}


def test_a_grant_that_comes_with_the_signal_loses_and_one_without_it_counts_until_the_next(api):
    body = {"purpose": "personalization", "status": "given", "source": "form"}
    answer = api.post(f"{R}/consents", json=body, headers=GPC).json()["consents"]
    assert {each["purpose"]: each["status"] for each in answer}["personalization"] == "withdrawn"
    agree(api)
    assert standing(api) == {"*": "given"}
    api.post(f"{R}/opt-out-signal", headers=GPC)
    assert standing(api) == {"*": "withdrawn"}


def test_a_grant_for_one_channel_is_ended_too(api):
    agree(api, channel="email")
    api.post(f"{R}/opt-out-signal", headers=GPC)
    report = api.get(f"{R}/consent-report").json()["purposes"]
    assert {each["purpose"]: each["permitted"] for each in report}["personalization"] == []


def test_no_decision_after_it_is_personal(api, db, tenant):
    MessageTypes(db).publish(tenant, [a_type(**{"class": "transactional"})], actor="t")
    agree(api)

    def may_personalize():
        made = api.post("/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}}).json()
        return api.get(f"/v1/decisions/{made['decision_id']}").json()["may_personalize"]

    assert may_personalize() is True
    api.post(f"{R}/opt-out-signal", headers=GPC)
    assert may_personalize() is False


def test_an_event_of_a_browser_with_the_signal_counts_with_the_event_as_proof(api):
    agree(api)
    event = {"source": "web", "type": "page_viewed", "recipient_id": "r", "occurred_at": datetime.now(UTC).isoformat()}
    for number, told in enumerate([None, False, True, True]):
        context = {"global_privacy_control": told} if told is not None else {}
        body = event | {"event_id": f"e-{number}", "context": context}
        assert api.post("/v1/events", json=body).status_code == 202
        assert standing(api) == {"*": "withdrawn" if number > 1 else "given"}
    assert [each["proof"]["event_id"] for each in records(api)] == ["e-2", "e-2"]


def test_the_page_to_unsubscribe_heeds_it_and_only_when_it_acts(api, server, db, box, tenant):
    grant = UnsubscribeGrant(
        tenant=tenant.tenant, recipient_id="r", purpose=Purpose.MARKETING, channel="email", issued_at=datetime.now(UTC)
    )
    path = "/u/" + UnsubscribeLinks(box, "http://x").url(grant).rpartition("/")[2]
    agree(api)
    server.get(path, headers=GPC)
    assert ConsentStore(db).allowances(tenant, "r").consents[0].status == "given"
    with_it = server.post(path, data={"List-Unsubscribe": "One-Click"}, headers=GPC)
    assert with_it.status_code == 200
    assert standing(api) == {"*": "withdrawn"}
    assert standing(api, "marketing") == {"email": "withdrawn"}
