"""When every place is taken, requests are told so at once and may come again; what lets people opt out passes."""

import contextlib
from dataclasses import replace

import httpx
import pytest

from serving.admission import Admission, Lane, Queue
from serving.http.app import ROUTERS
from serving.http.routes import lane_of
from serving.wiring import open_parts
from tests.api import serve, settings_for


class Full(Admission):
    """An admission whose only place is taken for good, and where nobody may wait."""

    def __init__(self) -> None:
        super().__init__(1, dict.fromkeys((Lane.REAL_TIME, Lane.STANDARD, Lane.BATCH), Queue(0, 1.0)))
        self._running[Lane.STANDARD] = 1


@pytest.fixture
def full(tmp_path, databases, box, key):
    settings = settings_for(tmp_path, databases, box)

    @contextlib.contextmanager
    def parts():
        with open_parts(settings) as opened:
            yield replace(opened, admission=Full())

    with serve(parts) as client:
        client.headers.update({"Authorization": f"Bearer {key}"})
        yield client


def refused(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.headers.get("retry-after"), answer.headers["content-type"]) == (
        503,
        "1",
        "application/problem+json",
    ) and answer.json()["code"] == "service.overloaded"


def test_who_finds_no_place_is_told_so_and_opt_outs_pass(full):
    decision = {"recipient_id": "r", "message": {"type": "news"}}
    assert refused(full.post("/v1/decisions", json=decision))
    assert refused(full.get("/v1/audit"))
    withdrawn = {"purpose": "marketing", "status": "withdrawn", "source": "t"}
    assert full.post("/v1/recipients/r/consents", json=withdrawn).status_code in {200, 201}
    # A hand-over passes, too, here with a token that is none; a report of an outcome comes again, as a decision does.
    assert full.post("/v1/decisions/d-1/handover", json={"handover_token": "x" * 43}).status_code == 422
    delivered = {"recipient_id": "r", "type": "delivered", "occurred_at": "2026-03-02T12:00:00Z"}
    assert refused(full.post("/v1/decisions/d-1/outcome", json=delivered))
    assert full.get("/healthz").status_code == 200
    assert 'kairos_http_shed_total{lane="real_time",why="full"}' in full.get("/metrics").text


def test_every_route_that_lets_people_opt_out_is_never_shed_and_batches_yield():
    routes = [route for router in ROUTERS for route in router.routes]
    lanes = {route.name: lane_of(route.endpoint) for route in routes}
    opt_outs = {route.name for route in routes if hasattr(route.endpoint, "is_never_limited")}
    assert opt_outs
    assert {lanes[name] for name in opt_outs} == {Lane.NEVER_SHED}
    assert lanes["post_handover"] is Lane.NEVER_SHED
    assert {lanes[name] for name in ("post_decision", "post_outcome")} == {Lane.REAL_TIME}
    assert {name for name, lane in lanes.items() if lane is Lane.BATCH} >= {
        "post_decision_batch",
        "get_audit",
        "generate_variants",
    }
