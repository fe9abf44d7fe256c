"""Dead letters over HTTP: in pages, audited, with their bytes, and tried again by the rules of today."""

import json

import pytest
from sqlalchemy import select

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.dead_letters import keep
from adapters.postgres.tables import audit, dead_letter
from adapters.postgres.tenants import Tenants
from tests.builders import NOON
from tests.pages import walked

LETTERS = "/v1/dead-letters"
BAD = {"source": "shop", "event_id": "e", "type": "unheard_of", "recipient_id": "r", "occurred_at": "2026-03-02T03:00Z"}


@pytest.fixture
def bury(db, tenant):
    """Keep bytes as a dead letter and return its number."""

    def bury(raw: bytes, reason: str = "event.field_invalid") -> int:
        letter = {"origin": "test", "position": 0, "reason": reason, "field": "type", "expected": "x"}
        with db.tenant(tenant.tenant) as connection:
            keep(connection, tenant, [letter | {"raw": raw, "received_at": NOON}], ["r"])
            return (
                connection.execute(select(dead_letter.c.dead_letter_id).order_by(dead_letter.c.dead_letter_id.desc()))
                .scalars()
                .first()
            )

    return bury


def a_good_event(**changes) -> bytes:
    given = {"source": "shop", "event_id": "e-1", "type": "app_opened", "recipient_id": "r"}
    return json.dumps(given | {"occurred_at": "2026-03-02T03:00:00Z"} | changes).encode()


def test_letters_come_in_pages_newest_first_without_gap_or_double(api):
    api.post("/v1/events", json={"events": [BAD | {"event_id": f"e-{number}"} for number in range(5)]})
    found = walked(api, LETTERS, "dead_letters", limit=2)
    assert [json.loads(each["raw"])["event_id"] for each in found] == [f"e-{number}" for number in reversed(range(5))]
    assert {each["reason"] for each in found} == {"event.field_invalid"}
    assert found[0]["field"] == "type"


def test_bytes_that_are_no_text_come_in_base64(api, bury):
    bury(b"\xff\xfe")
    (letter,) = api.get(LETTERS).json()["dead_letters"]
    assert (letter["raw"], letter["raw_base64"]) == (None, "//4=")


def test_reading_and_replaying_are_in_the_trail(api, bury, db, tenant):
    number = bury(a_good_event())
    api.get(LETTERS)
    api.post(f"{LETTERS}/{number}/replay")
    with db.tenant(tenant.tenant) as connection:
        rows = connection.execute(select(audit.c.action).where(audit.c.object.like("dead_letter%"))).scalars().all()
    assert sorted(rows) == ["dead_letter.replayed", "dead_letters.read"]


def test_a_letter_that_is_an_event_by_now_is_stored_once(api, bury):
    number = bury(a_good_event())
    answers = [api.post(f"{LETTERS}/{number}/replay") for _ in range(2)]
    assert [each.json()["verdict"]["verdict"] for each in answers] == ["stored", "duplicate"]
    assert len(api.get(LETTERS).json()["dead_letters"]) == 1


@pytest.mark.parametrize("raw", [b"not json", a_good_event(type="unheard_of")])
def test_a_letter_that_still_is_none_is_refused_and_not_buried_twice(api, bury, raw):
    answer = api.post(f"{LETTERS}/{bury(raw)}/replay")
    assert (answer.status_code, answer.json()["code"].split(".")[0]) == (422, "event")
    assert len(api.get(LETTERS).json()["dead_letters"]) == 1


def test_an_unknown_letter_and_one_that_was_erased_are_told_apart(api, bury):
    assert api.post(f"{LETTERS}/999999999/replay").status_code == 404
    answer = api.post(f"{LETTERS}/{bury(b'')}/replay")
    assert (answer.status_code, answer.json()["code"]) == (409, "dead_letter.erased")


def test_another_tenants_letter_does_not_exist(server, bury, db, box, tenant):
    number = bury(a_good_event())
    other, _ = Tenants(db, box).create(f"{tenant.tenant}-b", display_name="b")
    headers = {"X-API-Key": ApiKeys(db, box).issue(other.tenant, name="b", roles=["operator"])}
    assert server.post(f"{LETTERS}/{number}/replay", headers=headers).status_code == 404
    assert server.get(LETTERS, headers=headers).json() == {"dead_letters": [], "next_cursor": None}
