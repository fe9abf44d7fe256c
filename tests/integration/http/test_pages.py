"""Cursors over HTTP: what a list had at the start comes once, whatever is added meanwhile."""

import base64
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tenants import Tenants
from serving.http import cursors
from tests.builders import a_type
from tests.pages import walked

WHO = "/v1/recipients/r"
SYNC = f"{WHO}/preferences/sync"
TEMPLATES = "/v1/preferences/templates"


class Lists:
    """Adds to each list of the API, and reads it."""

    def __init__(self, api):
        self.api, self.count = api, 0
        self.hook_id = ""

    def add(self, what: str) -> None:
        self.count += 1
        answer = getattr(self, what)()
        assert answer.status_code < 300, answer.text

    def audit(self):
        return self.api.put("/v1/recipients/someone/profile", json={"attributes": {"n": self.count}})

    def dead_letters(self):
        # Three of one request came at one moment.
        bad = {"source": "s", "type": "", "recipient_id": "r", "occurred_at": "2026-03-02T03:00:00Z"}
        return self.api.post("/v1/events", json={"events": [bad | {"event_id": f"{self.count}-{n}"} for n in range(3)]})

    def history(self):
        return self.api.put(f"{WHO}/profile", json={"attributes": {"n": self.count}})

    def log(self):
        edit = {"number": self.count, "seen": {}, "at": "2026-03-02T03:00:00Z", "scope": {"channel": "email"}}
        edit["value"] = {"enabled": False}
        return self.api.post(SYNC, json={"device": "phone", "edits": [edit]})

    def deliveries(self):
        return self.api.post(f"/v1/admin/hooks/{self.hook_id}/test")

    def decisions(self):
        return self.api.post("/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}})

    def contests(self):
        decision = self.decisions().json()["decision_id"]
        return self.api.post(f"/v1/decisions/{decision}/contest", json={"statement": "no", "source": "mail"})

    def feedback(self):
        return self.api.post(f"{TEMPLATES}/calm/feedback", json={"rating": 1 + self.count % 5})


LISTS = {
    "audit": ("/v1/audit", "entries", "audit_id"),
    "dead_letters": ("/v1/dead-letters", "dead_letters", "dead_letter_id"),
    "history": (f"{WHO}/profile/history", "versions", "version"),
    "log": (f"{SYNC}/log", "edits", "edit_id"),
    "deliveries": ("/v1/admin/hooks/{hook_id}/deliveries", "deliveries", "delivery_id"),
    "decisions": (f"{WHO}/decisions", "decisions", "decision_id"),
    "contests": ("/v1/contests", "contests", "contest_id"),
    "feedback": (f"{TEMPLATES}/calm/feedback", "feedback", None),
}
OLDEST_FIRST = {"log", "contests"}


@pytest.fixture
def lists(api, db, tenant):
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    found = Lists(api)
    made = api.post("/v1/admin/hooks", json={"url": "https://hooks.example.org/x", "events": ["post_decision"]})
    found.hook_id = made.json().get("hook", {}).get("hook_id", "")
    assert found.hook_id, made.text
    values = [{"preference": {"value": {"enabled": False}}}]
    answer = api.put(f"{TEMPLATES}/calm", json={"type": "segment", "description": "Calm", "values": values})
    assert answer.status_code == 200, answer.text
    return found


@pytest.mark.parametrize("what", LISTS)
def test_walking_a_list_yields_each_item_once_while_new_ones_come(lists, api, what):
    where, name, identity = LISTS[what]
    where, chance = where.format(hook_id=lists.hook_id), random.Random(what)
    for _ in range(7):
        lists.add(what)

    def told(found):
        return [each[identity] if identity else (each["rating"], each["recorded_at"]) for each in found]

    for limit in (1, 2, 3, 100):
        there = told(api.get(where, params={"limit": 100}).json()[name])
        most = iter([True] * 3)
        found = told(
            walked(
                api,
                where,
                name,
                limit=limit,
                between=lambda most=most: [lists.add(what) for _ in range(chance.randint(0, 2)) if next(most, False)],
            )
        )
        assert len(found) == len(set(found))
        assert [each for each in found if each in set(there)] == there
        if what not in OLDEST_FIRST and what != "audit":  # reading the trail adds to it
            assert found == there


def test_the_last_page_has_no_cursor_and_an_empty_list_neither(lists, api):
    assert api.get("/v1/dead-letters").json() == {"dead_letters": [], "next_cursor": None}
    lists.add("dead_letters")
    first = api.get("/v1/dead-letters", params={"limit": 2}).json()
    last = api.get("/v1/dead-letters", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert (len(last["dead_letters"]), last["next_cursor"]) == (1, None)


def test_an_item_that_is_removed_between_pages_ends_no_walk(lists, api, db, tenant):
    for _ in range(6):
        lists.add("deliveries")
    where = f"/v1/admin/hooks/{lists.hook_id}/deliveries"
    first = api.get(where, params={"limit": 2}).json()
    with db.tenant(tenant.tenant) as connection:
        last = first["deliveries"][-1]["delivery_id"]
        connection.execute(text("DELETE FROM hook_delivery WHERE delivery_id = :last"), {"last": last})
    rest = api.get(where, params={"limit": 9, "cursor": first["next_cursor"]}).json()
    assert len(rest["deliveries"]) == 4


@pytest.fixture
def cursor(lists, api):
    """A good cursor of the trail of one recipient."""
    for _ in range(3):
        lists.add("history")
    return api.get("/v1/audit", params={"recipient_id": "r", "limit": 1}).json()["next_cursor"]


def refusal(answer) -> tuple[int, str, str]:
    told = answer.json()
    return answer.status_code, told["code"], told["field"]


INVALID = (400, "cursor.invalid", "cursor")


def flipped(cursor: str, at: int) -> str:
    raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    raw[at % len(raw)] ^= 1
    return base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()


def test_any_changed_byte_of_a_cursor_is_refused(api, cursor):
    length = len(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    for at in range(length):
        query = {"recipient_id": "r", "cursor": flipped(cursor, at)}
        assert refusal(api.get("/v1/audit", params=query)) == INVALID
    assert api.get("/v1/audit", params={"recipient_id": "r", "cursor": cursor}).status_code == 200


@pytest.mark.parametrize("given", ["", "x", "17", "é", "=", "a" * 1000, "AAAA" * 20])
def test_what_was_never_a_cursor_is_refused(api, given):
    assert refusal(api.get("/v1/audit", params={"cursor": given})) == INVALID


def test_a_cursor_is_refused_with_other_filters_on_another_list_and_for_another_recipient(api, lists, cursor):
    assert refusal(api.get("/v1/audit", params={"cursor": cursor})) == INVALID
    assert refusal(api.get("/v1/audit", params={"recipient_id": "s", "cursor": cursor})) == INVALID
    assert refusal(api.get("/v1/dead-letters", params={"recipient_id": "r", "cursor": cursor})) == INVALID
    theirs = api.get(f"{WHO}/profile/history", params={"limit": 1}).json()["next_cursor"]
    api.put("/v1/recipients/s/profile", json={})
    assert refusal(api.get("/v1/recipients/s/profile/history", params={"cursor": theirs})) == INVALID
    assert api.get(f"{WHO}/profile/history", params={"cursor": theirs}).status_code == 200


def test_another_page_size_or_part_keeps_the_cursor_good(api, cursor):
    query = {"recipient_id": "r", "cursor": cursor, "limit": 7, "fields": "entries.action"}
    assert api.get("/v1/audit", params=query).status_code == 200


def test_another_tenants_cursor_is_refused_and_shows_nothing(server, db, box, tenant, cursor):
    other, _ = Tenants(db, box).create(f"{tenant.tenant}-b", display_name="b")
    theirs = ApiKeys(db, box).issue(other.tenant, name="officer", scopes=["audit:read"])
    query = {"recipient_id": "r", "cursor": cursor}
    answer = server.get("/v1/audit", params=query, headers={"X-API-Key": theirs})
    assert refusal(answer) == INVALID
    assert "entries" not in answer.text


def test_a_cursor_ends_after_a_day(api, lists, monkeypatch):
    lists.add("dead_letters")
    read = cursors.page

    def old(given: cursors.Page) -> cursors.Page:
        return replace(given, now=given.now - cursors.LIFETIME - timedelta(seconds=1))

    following = cursors.Page.following
    monkeypatch.setattr(cursors.Page, "following", lambda page, *given: following(old(page), *given))
    aged = api.get("/v1/dead-letters", params={"limit": 1}).json()["next_cursor"]
    assert read is cursors.page
    assert refusal(api.get("/v1/dead-letters", params={"cursor": aged})) == (400, "cursor.expired", "cursor")
