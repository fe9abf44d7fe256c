"""The service as BentoML hosts it: every answer is ours, it listens on loopback, its log names no one."""

import json
import re
import threading
from collections.abc import Iterator

import httpx
import psutil
import pytest

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.roles import DatabaseUrls
from adapters.postgres.tenants import Tenants
from adapters.secrets import SecretBox
from tests.api import settings_for
from tests.service_process import ServiceProcess

CANARY = "canary-7f3a"
TENANT = "hosted"


@pytest.fixture(scope="module")
def hosted(
    tmp_path_factory: pytest.TempPathFactory, databases: DatabaseUrls, box: SecretBox
) -> Iterator[ServiceProcess]:
    service = ServiceProcess(settings_for(tmp_path_factory.mktemp("hosted"), databases, box))
    service.start()
    yield service
    service.kill()


@pytest.fixture
def client(hosted, db, box) -> Iterator[httpx.Client]:
    Tenants(db, box).create(TENANT, display_name=TENANT)
    key = ApiKeys(db, box).issue(TENANT, name="test")
    with httpx.Client(base_url=hosted.url, headers={"X-API-Key": key}, timeout=30, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/openapi.json", 200),
        ("/docs", 200),
        ("/", 307),
        ("/livez", 404),
        ("/docs.json", 404),
        ("/schema.json", 404),
        ("/static_content/index.css", 404),
    ],
)
def test_every_path_is_answered_by_our_application(client, path, status):
    answer = client.get(path, follow_redirects=False)
    assert (answer.status_code, "x-request-id" in answer.headers) == (status, True)
    assert "bentoml" not in answer.text.lower()


def test_what_an_event_did_is_counted_across_workers(client):
    event = {
        "source": "s",
        "event_id": "1",
        "type": "login",
        "recipient_id": CANARY,
        "occurred_at": "2026-11-20T00:00:00Z",
    }
    client.post("/v1/events", json={"events": [event, event]})
    text = client.get("/metrics").text
    assert f'kairos_ingest_received_total{{tenant="{TENANT}"}}' in text
    assert re.search(r'kairos_http_requests_total\{[^}]*route="/v1/events"', text)
    assert CANARY not in text


def test_the_log_is_one_json_object_per_line_and_holds_nothing_a_sender_sent(client, hosted):
    client.get(f"/v1/profiles/{CANARY}")
    client.get(f"/{CANARY}?{CANARY}={CANARY}", headers={"User-Agent": CANARY, "Referer": CANARY})
    client.post("/v1/events", json={"events": [{"recipient_id": CANARY}]})
    client.post("/v1/events", content=f'{{"{CANARY}": "{CANARY}'.encode(), headers={"content-type": "application/json"})
    client.get("/%0a%7b%22forged%22:1%7d%0d%0a")
    written = hosted.log.read_text()
    assert CANARY not in written
    assert "forged" not in written
    lines = [line for line in written.splitlines() if "[entry_service" not in line and "[cli]" not in line]
    answered = [json.loads(line) for line in lines]
    assert {"request_id", "method", "route", "status", "ms"} <= set(answered[-1])


def test_it_listens_on_loopback_only(hosted):
    everything = [hosted.process, *hosted.process.children(recursive=True)]
    addresses = {
        each.laddr.ip
        for process in everything
        for each in process.net_connections()
        if each.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_a_stop_ends_open_streams_first(client, hosted):
    heard = []
    started = threading.Event()

    def listen():
        with client.stream("GET", "/v1/recipients/r/changes") as answer:
            for line in answer.iter_lines():
                heard.append(line)
                if line == "event: ready":
                    started.set()
        heard.append("end")

    listener = threading.Thread(target=listen)
    listener.start()
    assert started.wait(180)
    hosted.stop()
    listener.join(60)
    hosted.start()
    assert heard[-1] == "end", "the answer ended as an answer does, and was not cut"
