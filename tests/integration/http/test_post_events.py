"""POST /v1/events: a verdict for every item; nothing acknowledged unstored, nothing stored that was refused."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from adapters.postgres.dead_letters import DeadLetters
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from domain.events import MAX_BODY_BYTES
from domain.ingest import Counts


def an_event(number=1, **changes):
    given = {
        "source": "shop",
        "event_id": f"e-{number}",
        "type": "purchase",
        "recipient_id": "r-1",
        "occurred_at": "2026-03-02T03:00:00Z",
    }
    given["occurred_at"] = (
        (datetime.now(UTC) - timedelta(hours=1)).replace(minute=0, second=0, microsecond=0).isoformat()
    )
    return given | changes


@pytest.fixture
def books(db, tenant):
    log = EventLog(db, EventEffects(), retention=timedelta(days=365))
    return lambda: log.conservation(tenant.tenant)


def test_a_single_event_is_accepted_once_and_then_a_duplicate(api, books):
    first, second = api.post("/v1/events", json=an_event()), api.post("/v1/events", json=an_event())
    assert [first.status_code, second.status_code] == [202, 202]
    assert first.json() == {
        "counts": {"received": 1, "stored": 1, "duplicate": 0, "dead": 0},
        "verdicts": [{"position": 0, "verdict": "stored"}],
    }
    assert second.json()["verdicts"] == [{"position": 0, "verdict": "duplicate"}]
    assert books() == Counts(received=2, stored=1, duplicate=1)


def test_a_single_conflict_is_a_409_and_a_dead_letter(api, books, db, tenant):
    api.post("/v1/events", json=an_event())
    answer = api.post("/v1/events", json=an_event(session_id="s"))
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (409, "event.conflict", "event_id")
    assert books() == Counts(received=2, stored=1, dead=1)
    assert DeadLetters(db).newest(tenant, actor="test")[0].reason == "event.conflict"


def test_a_single_invalid_event_is_a_422_that_names_the_field_and_a_dead_letter(api, books):
    answer = api.post("/v1/events", json=an_event(value={"minor": True, "currency": "USD"}))
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (422, "event.field_invalid", "value.minor")
    assert problem["errors"] == [{"field": "value.minor", "expected": "a valid integer"}]
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert books() == Counts(received=1, dead=1)


def test_one_bad_item_in_a_thousand_costs_only_itself(api, books):
    batch = [an_event(number) for number in range(1_000)]
    batch[500] = an_event(500, type="unheard_of")
    answer = api.post("/v1/events", json={"events": batch})
    verdicts = answer.json()["verdicts"]
    assert (answer.status_code, len(verdicts)) == (202, 1_000)
    assert [each for each in verdicts if each["verdict"] != "stored"] == [
        {
            "position": 500,
            "verdict": "rejected",
            "rejection": {
                "code": "event.field_invalid",
                "field": "type",
                "expected": verdicts[500]["rejection"]["expected"],
            },
        }
    ]
    assert books() == Counts(received=1_000, stored=999, dead=1)


def test_a_batch_in_which_all_is_bad_is_answered_item_by_item(api, books):
    answer = api.post("/v1/events", json={"events": [1, None, {}, [], "x"]})
    assert answer.status_code == 202
    assert {each["verdict"] for each in answer.json()["verdicts"]} == {"rejected"}
    assert books() == Counts(received=5, dead=5)


def test_an_event_too_large_is_rejected_and_its_neighbour_stored(api, books):
    answer = api.post("/v1/events", json={"events": [an_event(1, properties={"x": "y" * 33_000}), an_event(2)]})
    assert [each["verdict"] for each in answer.json()["verdicts"]] == ["rejected", "stored"]
    assert answer.json()["verdicts"][0]["rejection"]["code"] == "event.too_large"


@pytest.mark.parametrize(
    "body", [{"events": []}, {"events": [{}] * 1_001}, {"events": {}}, {"events": [{}], "tenant": "other"}]
)
def test_what_is_no_batch_is_refused_whole(api, books, body):
    answer = api.post("/v1/events", json=body)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "request.invalid", "events")
    assert books() == Counts()


MALFORMED = {
    "empty": b"",
    "half": b'{"a":',
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 90_000,
    "nan": b'{"properties":{"x":NaN}}',
    "infinite": b'{"properties":{"x":1e999}}',
    "long number": b'{"properties":{"x":' + b"9" * 5_000 + b"}}",
    "past int64": b'{"value":{"minor":9223372036854775808}}',
    "escaped nul": b'{"recipient_id":"a\\u0000"}',
    "nul": b'{"recipient_id":"a\x00"}',
    "surrogate": b'{"recipient_id":"\\ud800"}',
    "duplicate key": b'{"recipient_id":"a","recipient_id":"b"}',
    "many keys": json.dumps({str(number): 0 for number in range(10_000)}).encode(),
    "byte order mark": b"\xef\xbb\xbf{}",
    "utf-16": json.dumps(an_event()).encode("utf-16"),
    "latin-1": '{"recipient_id":"\u00e9"}'.encode("latin-1"),
    "trailing": b"{} {}",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_what_cannot_be_read_is_a_400_that_names_the_place_and_is_not_counted(api, books, body):
    answer = api.post("/v1/events", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.malformed")
    assert answer.json()["errors"][0]["expected"]
    assert books() == Counts()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/vnd.bentoml+pickle"}, 415),
        ({"content-type": "application/json; charset=latin-1"}, 415),
        ({"content-type": "application/json", "content-encoding": "gzip"}, 415),
        ({}, 415),
        ({"content-type": 'Application/JSON; charset="UTF-8"'}, 202),
    ],
)
def test_only_plain_json_is_taken(api, headers, status):
    assert api.post("/v1/events", content=json.dumps(an_event()).encode(), headers=headers).status_code == status


def test_a_body_past_500_kb_is_refused_by_its_declared_length(api, books):
    answer = api.post("/v1/events", content=b" " * (MAX_BODY_BYTES + 1), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
    assert books() == Counts()


def test_a_body_without_a_declared_length_is_cut_where_it_gets_too_long(api):
    sent = 0

    def endless():
        nonlocal sent
        while sent < 200 * MAX_BODY_BYTES:
            sent += 16_384
            yield b" " * 16_384

    with api.stream("POST", "/v1/events", content=endless(), headers={"content-type": "application/json"}) as answer:
        assert answer.status_code == 413
    assert sent < 100 * MAX_BODY_BYTES, "the server read on"


def test_the_tenant_comes_from_the_credential_only(api, db, tenant, books):
    assert api.post("/v1/events", json=an_event(tenant="other")).json()["code"] == "event.field_unknown"
    assert api.post("/v1/events?tenant=other", json=an_event()).status_code == 202
    assert books().stored == 1
