"""The content system: asked page by page with a key, nowhere inside, and believed no further than its form."""

import json
import threading
import tracemalloc
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from adapters.cms import LIMITS, MAX_IDS, MAX_PAGES, Cms, CmsDown, CmsUnavailable, TooLong, question
from adapters.egress import Egress, Limits
from adapters.kept_answers import KeptAnswers
from tests.integration.test_egress import Canary, at, saying
from tests.unit.domain.test_outside import INSIDE, MISWRITTEN

KEY = "k-secret-71f"
OF_C = {"category": "c"}
ITEM = {"id": "a1", "type": "news", "channel": "email", "locale": "en", "fields": {"subject": "Hi", "body": "<p>x</p>"}}
SHORT = Limits(connect_seconds=2, read_seconds=0.5, total_seconds=1.0, answer_bytes=LIMITS.answer_bytes)


def a_page(*items, cursor=None):
    return json.dumps({"items": list(items), "next": cursor}).encode()


class Source:
    """A content system that answers as it is told and remembers what it was asked."""

    def __init__(self):
        self.pages = {None: a_page(ITEM)}
        self.status = 200
        self.asked = []
        self.keys = []
        self.url = ""

    def answer(self, path, headers):
        question = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        self.asked.append(question)
        self.keys.append(headers["Authorization"])
        return self.pages.get(question.get("cursor"), b"{}")


@contextmanager
def serving(source):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = source.answer(self.path, self.headers)
            self.send_response(source.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    source.url = f"http://127.0.0.1:{server.server_address[1]}/content"
    try:
        yield source
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def source():
    with serving(Source()) as found:
        yield found


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cms(source, clock):
    way = Egress(allow_loopback=True, limits=SHORT)
    yield Cms(source.url, KEY, way, keep_seconds=60, clock=clock)
    way.close()


def test_texts_are_found_by_segment_and_type_by_ids_and_by_category(cms, source):
    other = ITEM | {"id": "z9"}
    source.pages[None] = a_page(ITEM, other)
    assert [each.id for each in cms.all(question(segment="loyal", message_type="news"))] == ["a1", "z9"]
    assert [each.id for each in cms.all(question(category="spring & sale"))] == ["a1", "z9"]
    # What was not asked for is not believed.
    assert [each.id for each in cms.all(question(ids=["z9", "b2", "z9"]))] == ["z9"]
    assert cms.all(question(message_type="receipt")) == ()
    with pytest.raises(ValueError, match="at most 50 ids"):
        question(ids=[str(number) for number in range(MAX_IDS + 1)])
    assert source.asked == [
        {"segment": "loyal", "type": "news", "limit": "100"},
        {"category": "spring & sale", "limit": "100"},
        {"ids": "b2,z9", "limit": "100"},
        {"type": "receipt", "limit": "100"},
    ]
    assert set(source.keys) == {f"Bearer {KEY}"}


def test_every_page_is_read_and_no_more_than_there_may_be(cms, source):
    source.pages = {None: a_page(ITEM, cursor="2"), "2": a_page(ITEM | {"id": "a2"})}
    assert [each.id for each in cms.all(OF_C)] == ["a1", "a2"]
    source.pages = {None: a_page(ITEM, cursor="1"), "1": a_page(ITEM, cursor="1")}
    with pytest.raises(CmsUnavailable, match=f"more than {MAX_PAGES} pages"):
        cms.all({"category": "endless"})


def test_an_answer_is_given_again_until_it_is_too_old_and_a_failure_never(cms, source, clock):
    source.status = 503
    with pytest.raises(CmsUnavailable, match="answers 503"):
        cms.all(OF_C)
    source.status = 200
    for now, asked in ((0, 2), (59.9, 2), (60.1, 3), (120.0, 3)):
        clock.now = now
        assert cms.all(OF_C)[0].id == "a1"
        assert len(source.asked) == asked, now


def test_what_is_too_old_is_still_at_hand_for_who_does_not_wait(cms, source, clock):
    source.pages = {None: a_page(ITEM, cursor="2"), "2": a_page(ITEM | {"id": "a2"})}
    assert cms.kept(OF_C) is None
    cms.all(OF_C)
    for now, fresh in ((59.9, True), (60.1, False), (599.0, False)):
        clock.now = now
        kept = cms.kept(OF_C)
        assert ([each.id for each in kept.texts], kept.is_fresh) == (["a1", "a2"], fresh), now
    clock.now = 600.1
    assert cms.kept(OF_C) is None
    assert len(source.asked) == 2


def test_content_systems_share_the_room_for_answers_and_one_that_is_read_much_takes_none_of_the_others(source):
    way, pages = Egress(allow_loopback=True, limits=SHORT), KeptAnswers(200_000)
    large, small = (Cms(source.url, KEY, way, keep_seconds=60, pages=pages, owner=name) for name in ("large", "small"))
    small.all(OF_C)
    source.pages[None] = a_page(ITEM | {"fields": {"body": "x" * 20_000}})
    for number in range(20):
        large.all({"category": f"c{number}"})
        assert pages.size <= 200_000
    asked = len(source.asked)
    small.all(OF_C)
    large.all({"category": "c19"})
    assert len(source.asked) == asked
    large.all({"category": "c0"})
    assert len(source.asked) == asked + 1
    way.close()


@pytest.mark.parametrize(
    ("items", "fields", "words"),
    [(100, 1, "x"), (100, 20, "y" * 450), (50, 1, "é" * 9_000), (13, 1, "\N{GRINNING FACE}" + "x" * 19_000)],
    ids=["many", "full", "accents", "wide"],
)
def test_a_kept_answer_is_counted_as_no_less_than_the_memory_it_takes(cms, source, items, fields, words):
    cms.all(OF_C)
    said = {f"f{chr(ord('a') + place)}": words for place in range(fields)}
    told = {"items": [ITEM | {"id": f"i{number}", "fields": said} for number in range(items)]}
    source.pages[None] = json.dumps(told, ensure_ascii=False).encode()
    before = cms._pages.size
    page = cms._fetched({"category": "d"})
    weight = cms._pages.size - before
    body = page.model_dump_json()
    tracemalloc.start()
    copy = type(page).model_validate_json(body)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(copy.items) == items
    assert taken <= weight <= 5 * taken


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "no JSON we read"),
        (b'{"items": [], "items": []}', "no JSON we read"),
        (b'{"items": [NaN]}', "no JSON we read"),
        (b"[]", "not as expected"),
        (b'{"items": [{"id": "a"}]}', "items.0.type"),
        (a_page(ITEM | {"surplus": "k-other-secret"}), "items.0.surplus"),
        (a_page(ITEM | {"channel": "fax"}), "items.0.channel"),
        (a_page(ITEM | {"fields": {}}), "items.0.fields"),
        (a_page(ITEM | {"fields": {"body": "x" * 20_001}}), "items.0.fields.body"),
        (a_page(*[ITEM] * 101), "items"),
        (b'{"items": [], "next": "../../admin?x="}', "next"),
        (b" " * (LIMITS.answer_bytes + 1), "more than 1048576 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_as_expected_is_refused_and_not_repeated(cms, source, body, words):
    source.pages[None] = body
    with pytest.raises(CmsUnavailable, match=words) as refused:
        cms.all(OF_C)
    assert KEY not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("status", [204, 301, 302, 307, 401, 429, 500, 503])
def test_a_redirect_or_a_refusal_of_everything_is_a_fault_of_the_content_system(cms, source, status):
    source.status = status
    with pytest.raises(CmsDown, match=f"answers {status}"):
        cms.all(OF_C)
    assert len(source.asked) == 1


@pytest.mark.parametrize("status", [400, 403, 405, 414, 422])
def test_a_refusal_of_one_question_says_nothing_of_the_others(cms, source, status):
    source.status = status
    with pytest.raises(CmsUnavailable, match=f"answers {status}") as refused:
        cms.all(OF_C)
    assert not isinstance(refused.value, CmsDown)


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("asked", [OF_C, {"ids": "a1"}, {"segment": "loyal", "type": "news"}])
def test_what_the_content_system_does_not_know_has_no_texts(cms, source, status, asked):
    source.status = status
    assert [cms.all(asked) for _ in range(2)] == [(), ()]
    assert len(source.asked) == 1
    # The list of everything has to be there.
    with pytest.raises(CmsUnavailable, match=f"answers {status}"):
        cms.all({})


def test_texts_whose_second_page_is_gone_are_not_taken_for_all(cms, source):
    source.pages = {None: a_page(ITEM, cursor="2")}
    assert cms.page(OF_C).next == "2"
    source.status = 404
    with pytest.raises(CmsUnavailable, match="answers 404"):
        cms.all(OF_C)


def test_each_request_is_a_call_of_its_own_and_what_is_kept_is_none(source):
    called, way = [], Egress(allow_loopback=True, limits=SHORT)

    @contextmanager
    def calling():
        yield called.append(len(source.asked))

    cms = Cms(source.url, KEY, way, keep_seconds=60, calling=calling)
    source.pages = {None: a_page(ITEM, cursor="2"), "2": a_page(ITEM | {"id": "a2"})}
    assert len(cms.all(OF_C)) == len(cms.all(OF_C)) == 2
    assert called == [0, 1]
    way.close()


def test_a_question_that_is_too_long_for_a_url_is_asked_nobody(cms, source):
    with pytest.raises(TooLong, match="more than 2000 characters") as refused:
        cms.all(question(ids=[f"{'i' * 90}{number}" for number in range(40)]))
    assert not isinstance(refused.value, CmsDown)
    assert source.asked == []


def test_a_source_that_says_nothing_is_given_up(clock):
    with Canary(lambda _: threading.Event().wait(2)) as canary:
        cms = Cms(
            f"http://127.0.0.1:{canary.port}/c",
            KEY,
            Egress(allow_loopback=True, limits=SHORT),
            keep_seconds=1,
            clock=clock,
        )
        with pytest.raises(CmsUnavailable, match="no complete answer in time"):
            cms.all(OF_C)
    assert (LIMITS.total_seconds, LIMITS.read_seconds) == (5.0, 5.0)


def asked_at(url, found=("127.0.0.1",)):
    cms = Cms(url, KEY, Egress(resolve=lambda *_: list(found), limits=SHORT), keep_seconds=1)
    with pytest.raises(CmsUnavailable, match="cannot be asked") as refused:
        cms.all(OF_C)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("url", [*INSIDE, *MISWRITTEN])
def test_no_content_system_is_inside(url):
    with Canary(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as canary:
        asked_at(url)
        if url in INSIDE:
            asked_at(at(canary.port, url))
        assert canary.connections == 0


@pytest.mark.parametrize(
    "found", [["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["10.0.0.7"], ["169.254.169.254"], ["1.1.1.1", "127.0.0.1"]]
)
def test_a_public_name_that_leads_inside_is_not_connected_to(found):
    with Canary(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")) as canary:
        asked_at(f"https://cms.example.com:{canary.port}/c", found)
        assert canary.connections == 0


def test_a_redirect_to_the_inside_is_not_followed(source, clock):
    there = f"HTTP/1.1 302 Elsewhere\r\nLocation: {source.url}\r\nContent-Length: 0\r\n\r\n".encode()
    with Canary(saying(there)) as first:
        cms = Cms(
            f"http://127.0.0.1:{first.port}/c",
            KEY,
            Egress(allow_loopback=True, limits=SHORT),
            keep_seconds=1,
            clock=clock,
        )
        with pytest.raises(CmsUnavailable, match="answers 302"):
            cms.all(OF_C)
    assert (first.connections, source.asked) == (1, [])
