"""Health and numbers: true while servers are down, by tenant and by route, and never by person."""

import json
from datetime import timedelta

import pytest
from fastapi import APIRouter, Depends
from prometheus_client.parser import text_string_to_metric_families

from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from serving.books import Books
from serving.http import app as module
from serving.http.auth import public
from serving.wiring import open_parts
from tests.api import NOBODY_LISTENS, serve, settings_for

NOT_FOUND = (
    "kairos_http_problems_total",
    frozenset({("code", "resource.not_found"), ("severity", "warning")}),
)
AN_EVENT = {
    "source": "shop",
    "event_id": "e-1",
    "type": "login",
    "recipient_id": "somebody-in-person",
    "occurred_at": "2026-03-02T03:00:00Z",
}


def samples(server):
    families = text_string_to_metric_families(server.get("/metrics").text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def test_the_service_works_degraded_while_everything_but_postgres_is_down(server):
    answer = server.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    states = answer.json()["dependencies"]
    assert states["postgres"] == "ok"
    assert states["redis"] == "unavailable"


@pytest.fixture
def without_postgres(tmp_path, databases, box):
    away = f"postgresql://kairos_app:x@{NOBODY_LISTENS}/kairos"
    settings = settings_for(tmp_path, databases, box, postgres_url=away)
    with serve(lambda: open_parts(settings)) as client:
        yield client


def test_without_postgres_it_starts_says_so_and_acknowledges_nothing(without_postgres, key):
    assert without_postgres.get("/healthz").json() == {"status": "alive"}
    ready = without_postgres.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "not_ready")
    answer = without_postgres.post("/v1/events", json=AN_EVENT, headers={"X-API-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (503, "service.unavailable")
    assert answer.headers["retry-after"] == "1"
    assert (answer.json()["severity"], answer.json()["is_retryable"]) == ("error", True)
    assert "psycopg" not in answer.text
    assert NOBODY_LISTENS not in answer.text


def test_what_came_in_is_counted_by_tenant_and_by_what_became_of_it(api, server, tenant):
    api.post("/v1/events", json={"events": [AN_EVENT, AN_EVENT, {}]})
    api.post("/v1/events", json={"events": [AN_EVENT, {}, {}]})
    label, found = frozenset({("tenant", tenant.tenant)}), samples(server)
    kinds = ("received", "stored", "duplicate", "dead")
    counted = {kind: found.get((f"kairos_ingest_{kind}_total", label)) for kind in kinds}
    assert counted["received"] == 6 == counted["stored"] + counted["duplicate"] + counted["dead"]


def test_the_books_of_the_event_log_are_shown_and_balance(api, server, tenant, db, box):
    api.post("/v1/events", json={"events": [{}, {}]})
    log = EventLog(db, EventEffects(), retention=timedelta(days=365))
    Books(log).read()
    found = samples(server)
    recorded = frozenset({("tenant", tenant.tenant), ("what", "dead")})
    assert found["kairos_ingest_recorded", recorded] == 2
    assert found["kairos_ingest_imbalance", frozenset({("tenant", tenant.tenant)})] == 0


def test_requests_are_counted_by_template_and_nothing_names_a_person(api, server):
    api.post("/v1/events", json=AN_EVENT)
    api.get("/v1/profiles/somebody-in-person")
    api.get("/nowhere/somebody-in-person")
    text = server.get("/metrics").text
    assert "somebody-in-person" not in text
    assert 'route="/v1/events"' in text
    assert 'route="none"' in text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "resource.not_found"),
        ("GET", "/v1/events", 405, "request.method"),
        ("DELETE", "/v1/events", 405, "request.method"),
        ("GET", "/docs/assets/../../pyproject.toml", 404, "resource.not_found"),
        ("GET", "/docs/assets/index.html", 404, "resource.not_found"),
    ],
)
def test_every_refusal_is_a_problem_document(server, method, path, status, code):
    answer = server.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"urn:kairos:problem:{code}")
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert (problem["severity"], problem["is_retryable"]) == ("warning", False)


def test_a_refusal_is_counted_and_logged_by_its_code_under_its_request_id(server, capsys):
    before = samples(server).get(NOT_FOUND, 0)
    answer = server.get("/v1/nothing", headers={"X-Request-ID": "trace-of-a-refusal"})
    assert answer.headers["x-request-id"] == "trace-of-a-refusal"
    assert samples(server)[NOT_FOUND] == before + 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "trace-of-a-refusal" in line]
    assert [(line["event"], line["problem"]) for line in lines] == [("request.answered", "resource.not_found")]


def test_a_bug_is_a_problem_document_without_anything_from_inside(tmp_path, databases, box, monkeypatch):
    broken = APIRouter(dependencies=[Depends(public)])

    @broken.get("/broken")
    def broken_route() -> None:
        raise RuntimeError("a secret of the house")

    monkeypatch.setattr(module, "ROUTERS", (*module.ROUTERS, broken))
    with serve(lambda: open_parts(settings_for(tmp_path, databases, box))) as client:
        answer = client.get("/broken")
    assert (answer.status_code, answer.json()["code"]) == (500, "service.failed")
    assert "secret" not in answer.text
    assert "RuntimeError" not in answer.text


@pytest.mark.parametrize(
    ("given", "is_kept"), [("trace-1234567", True), ("short", False), ("x" * 65, False), ('"},{"forged":"1', False)]
)
def test_a_request_id_is_taken_from_the_sender_only_when_it_is_harmless(server, given, is_kept):
    answer = server.get("/healthz", headers={"X-Request-ID": given})
    assert (answer.headers["x-request-id"] == given) == is_kept
