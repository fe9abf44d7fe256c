"""Streams of changes: told in order, resumed without a gap, only to those who may read, few, with a clean end."""

import json
import threading
from datetime import timedelta

import httpx
import pytest

from adapters.clock import real_now
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.changes import ChangeFeed, Wanted
from serving.announcer import Announcer
from serving.wiring import open_parts
from tests.api import serve, settings_for

SWITCH = "/v1/recipients/r/channels/email"


@pytest.fixture
def announcer(db, tenant):
    return Announcer(feed=ChangeFeed(db), tenants=lambda: [tenant.tenant], retention=timedelta(hours=1))


@pytest.fixture
def switch(api, announcer):
    """Switch a channel of a recipient and list the change."""

    def switch(recipient="r", *, is_on=False):
        answer = api.put(f"/v1/recipients/{recipient}/channels/email", json={"is_on": is_on})
        assert answer.status_code == 200
        announcer.step()

    return switch


class Stream:
    """A client's side of a stream."""

    def __init__(self, answer):
        self.answer = answer
        self._lines = answer.iter_lines()

    def event(self):
        found = {}
        for line in self._lines:
            if not line and "event" in found:
                return found["event"], int(found["id"]), json.loads(found["data"])
            name, _, value = line.partition(": ")
            found[name] = value
        return None


@pytest.fixture
def stream(api):
    """Open streams, and close them at the end."""
    opened = []

    def stream(recipient="r", after=None, client=api):
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        context = client.stream("GET", f"/v1/recipients/{recipient}/changes", headers=headers)
        opened.append(context)
        return Stream(context.__enter__())

    yield stream
    for context in opened:
        context.__exit__(None, None, None)


def test_a_listener_is_told_in_order_what_changed_and_to_which_version(api, stream, switch, announcer):
    listener = stream()
    assert listener.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    name, start, _ = listener.event()
    assert name == "ready"
    switch()
    switch("somebody-else")
    api.post("/v1/recipients/r/consents/withdraw", json={})
    api.put("/v1/recipients/r/profile", json={"country": "FR"})
    announcer.step()
    told = [listener.event() for _ in range(3)]
    assert [(kind, data["version"]) for kind, _, data in told] == [("switch", 1), ("consent", 2), ("profile", 1)]
    assert [number for _, number, _ in told] == [start + 1, start + 3, start + 4]
    assert all(set(data) == {"change_id", "recipient_id", "kind", "version", "recorded_at"} for _, _, data in told)


def test_a_listener_that_was_away_misses_nothing_and_hears_nothing_twice(stream, switch):
    for position in range(3):
        switch(is_on=bool(position % 2))
    first = [stream(after=0).event()[1] for _ in range(1)]
    assert first == [1]
    again = stream(after=1)
    assert [again.event()[1] for _ in range(2)] == [2, 3]


def test_an_event_tells_of_a_suppression_and_a_deletion(api, stream, announcer):
    listener = stream()
    assert listener.event()[0] == "ready"
    event = {"source": "s", "recipient_id": "r", "occurred_at": real_now().isoformat(), "channel": "email"}
    bounced = event | {"event_id": "1", "type": "bounced", "properties": {"bounce_type": "hard"}}
    gone = event | {"event_id": "2", "type": "recipient_deleted"}
    assert api.post("/v1/events", json={"events": [bounced, gone]}).status_code < 300
    announcer.step()
    assert [listener.event()[0] for _ in range(2)] == ["suppression", "profile"]


def test_what_is_not_kept_any_more_is_said(db, tenant, stream, switch):
    switch()
    switch(is_on=True)
    assert ChangeFeed(db).prune(tenant.tenant, before=real_now()) == 2
    assert stream(after=1).event()[:2] == ("reset", 2)
    assert stream(after=999).event()[:2] == ("reset", 2)


def test_a_key_is_told_only_what_it_may_read(server, db, box, tenant, stream, switch, api, announcer):
    def client(*scopes):
        key = ApiKeys(db, box).issue(tenant.tenant, name="narrow", scopes=scopes)
        return httpx.Client(base_url=server.base_url, headers={"X-API-Key": key}, timeout=30, trust_env=False)

    with (
        client("profiles:read") as deaf,
        client("changes:read") as blind,
        client("changes:read", "profiles:read") as some,
    ):
        for refused in (deaf, blind):
            answer = refused.get("/v1/recipients/r/changes")
            assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")
        listener = stream(client=some)
        listener.event()
        switch()
        api.put("/v1/recipients/r/profile", json={})
        announcer.step()
        assert listener.event()[0] == "profile"
        listener.answer.close()


def test_another_tenant_hears_nothing(server, db, box, stream, switch):
    from adapters.postgres.tenants import Tenants

    switch()
    other = Tenants(db, box).create(f"o{real_now():%H%M%S%f}", display_name="other", time_zone="UTC")[0]
    assert ChangeFeed(db).news(other.tenant, [Wanted("r", 0)], limit=9)[0].changes == ()


@pytest.mark.parametrize("last", ["x", "-1", "9" * 19])
def test_a_last_event_id_that_is_none_is_refused(api, last):
    answer = api.get("/v1/recipients/r/changes", headers={"Last-Event-ID": last})
    assert (answer.status_code, answer.json()["field"]) == (422, "header.Last-Event-ID")


@pytest.fixture
def small(tmp_path, databases, box, key):
    """A service that keeps three streams open, for a few seconds each: on a busy machine opening them takes one."""
    settings = settings_for(tmp_path, databases, box, change_streams=3, change_stream_seconds=8, service_threads=1)
    with serve(lambda: open_parts(settings)) as client:
        yield httpx.Client(base_url=client.base_url, headers={"X-API-Key": key}, timeout=30, trust_env=False)


def test_streams_are_few_hold_no_thread_and_end_by_themselves(small):
    with (
        small,
        small.stream("GET", "/v1/recipients/a/changes") as a,
        small.stream("GET", "/v1/recipients/b/changes") as b,
    ):
        with small.stream("GET", "/v1/recipients/c/changes") as third:
            # The service has one thread: the streams hold none, or nothing else would be answered.
            refused = small.get("/v1/recipients/d/changes")
            assert (refused.status_code, refused.json()["code"]) == (503, "service.unavailable")
            assert refused.headers["retry-after"]
            assert small.get("/v1/recipients/r/consents").status_code == 200
            assert sum(b"ready" in b"".join(each.iter_bytes()) for each in (a, b, third)) == 3
        assert small.get("/metrics").text.count("kairos_change_streams 0.0") == 1


def test_two_announcers_number_without_gap_or_double(db, tenant, api):
    for position in range(30):
        api.put(SWITCH, json={"is_on": bool(position % 2)})
    feed = ChangeFeed(db)

    def work():
        while feed.waiting(tenant.tenant)[0]:
            feed.publish(tenant.tenant, limit=4)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [news] = feed.news(tenant.tenant, [Wanted("r", 0)], limit=100)
    assert [change.change_id for change in news.changes] == list(range(1, 31))


def test_what_is_rolled_back_is_not_announced(db, tenant):
    from adapters.postgres import allowances

    with db.tenant(tenant.tenant) as connection:
        allowances.touch(connection, tenant.tenant, ["r"])
        connection.rollback()
    assert ChangeFeed(db).waiting(tenant.tenant)[0] == 0
