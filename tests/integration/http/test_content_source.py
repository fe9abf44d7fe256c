"""A tenant's content system over HTTP: set and sealed, read page by page, said in decisions, and done without."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select, text

from adapters.legal_rule_files import published
from adapters.postgres.api_keys import ApiKeys
from adapters.postgres.content_sources import ContentSources, NoSource
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.tables import audit, decision
from domain.decision_replay import differences, past
from serving.admission import Lane
from serving.content_texts import ContentTexts
from serving.http.content_source import get_content
from serving.http.routes import lane_of
from serving.wiring import open_parts
from tests.api import serve, settings_for
from tests.builders import a_type
from tests.integration.test_cms import Source, a_page, serving
from tests.unit.domain.test_outside import INSIDE

WHERE = "/v1/content-source"
KEY = "k-very-secret-9"
NEW = {"url": "https://cms.example.com/texts", "key": KEY, "types": ["news"]}
TEXT = {"id": "t1", "type": "news", "channel": "push", "locale": "en", "fields": {"body": "From afar"}}
SOURCED = [
    {"id": "a", "sources": {"body": {"from": "cms", "category": "spring"}}, "content": {"push": {"body": "Our own"}}}
]


@pytest.fixture(scope="module")
def near(tmp_path_factory, databases, box, issuers_file):
    """A service that may ask this machine, as for development, and waits long enough for slow machines."""
    folder = tmp_path_factory.mktemp("near")
    settings = settings_for(
        folder, databases, box, token_issuers_file=issuers_file, egress_allow_loopback=True,
        content_wait_ms=10_000, cms_cache_seconds=3600, holdout_share=0,
    )  # fmt: skip
    with serve(lambda: open_parts(settings)) as client:
        yield client


@pytest.fixture
def source():
    with serving(Source()) as found:
        found.pages = {None: a_page(TEXT)}
        yield found


@pytest.fixture
def shop(near, key, db, tenant, source):
    """A client of a tenant that has a source and a type with a slot for its words."""
    types = [a_type(variants=SOURCED, channels=["push"], **{"class": "transactional"})]
    MessageTypes(db).publish(tenant, types, actor="test")
    with httpx.Client(base_url=near.base_url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
        assert client.put(WHERE, json={"url": source.url, "key": KEY}).status_code == 200
        yield client


def decided(client, key=None):
    headers = {"Idempotency-Key": key} if key else {}
    answer = client.post(
        "/v1/decisions", json={"recipient_id": "r", "message": {"type": "news"}, "explain": True}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_source_is_set_read_without_its_key_changed_and_deleted(api, db, tenant):
    assert api.get(WHERE).status_code == api.delete(WHERE).status_code == 404
    made, again = (api.put(WHERE, json=NEW | {"types": types}) for types in (["news"], []))
    assert (made.status_code, again.status_code) == (200, 200)
    read = api.get(WHERE)
    assert (read.json()["url"], read.json()["types"], read.json()["version"]) == (NEW["url"], [], 2)
    with db.tenant(tenant.tenant) as connection:
        (row,) = connection.execute(text("SELECT * FROM content_source")).all()
        rows = connection.execute(select(audit).where(audit.c.object == "content_source")).all()
    assert KEY not in f"{made.text}{read.text}{row}{rows}"
    assert b"cms.example" not in bytes(row.sealed)
    assert [each.action for each in rows] == ["content_source.set"] * 2
    assert api.delete(WHERE).status_code == 204
    assert api.get(WHERE).status_code == api.get("/v1/content").status_code == 404


@pytest.mark.parametrize("url", INSIDE)
def test_a_source_inside_is_refused(api, url):
    answer = api.put(WHERE, json=NEW | {"url": url})
    assert (answer.status_code, answer.json()["field"]) == (422, "url")
    assert api.get(WHERE).status_code == 404


@pytest.mark.parametrize("wrong", [{"key": ""}, {"url": ""}, {"types": ["No Name"]}, {"surplus": 1}])
def test_a_source_that_cannot_be_is_refused_and_its_key_not_repeated(api, wrong):
    answer = api.put(WHERE, json=NEW | wrong)
    assert answer.status_code == 422
    assert KEY not in answer.text


def test_who_reads_types_reads_texts_and_nobody_else_sets_the_source(near, shop, db, box, tenant):
    may_read = ApiKeys(db, box).issue(tenant.tenant, name="reader", scopes=["types:read"])
    headers = {"Authorization": f"Bearer {may_read}"}
    assert near.get("/v1/content", headers=headers).status_code == 200
    assert near.put(WHERE, json=NEW, headers=headers).status_code == 403
    assert near.delete(WHERE, headers=headers).status_code == 403
    others = ApiKeys(db, box).issue(tenant.tenant, name="other", scopes=["decisions:read"])
    assert near.get("/v1/content", headers={"Authorization": f"Bearer {others}"}).status_code == 403


def test_texts_are_read_page_by_page_and_kept(shop, source):
    source.pages = {None: a_page(TEXT, TEXT | {"type": "receipt"}, cursor="p2"), "p2": a_page(TEXT | {"id": "t2"})}
    asked = {"type": "news", "segment": "loyal", "ids": "t1,t2", "category": "spring"}
    first = shop.get("/v1/content", params=asked).json()
    second = shop.get("/v1/content", params=asked | {"page": first["next_page"]}).json()
    assert [each["id"] for each in (*first["items"], *second["items"])] == ["t1", "t2"]
    assert (first["next_page"], second["next_page"]) == ("p2", None)
    shop.get("/v1/content", params=asked)
    assert len(source.asked) == 2
    assert source.asked[0] == asked | {"limit": "100"}
    assert shop.get("/v1/content", params={"ids": "t1,../x"}).json()["field"] == "ids"
    source.status = 500
    failed = shop.get("/v1/content", params={"category": "other"})
    assert (failed.status_code, failed.json()["code"]) == (424, "content.unavailable")


class Hanging(Source):
    """Answers when it may."""

    def __init__(self):
        super().__init__()
        self.pages = {None: a_page(TEXT)}
        self.may_answer, self.come = threading.Event(), threading.Semaphore(0)

    def answer(self, path, headers):
        self.come.release()
        self.may_answer.wait(30)
        return super().answer(path, headers)


def test_a_content_system_that_hangs_holds_two_places_and_the_next_is_told_so_at_once(shop, db, tenant):
    MessageTypes(db).publish(tenant, [a_type(channels=["push"], **{"class": "transactional"})], actor="test")
    assert lane_of(get_content) is Lane.BATCH
    with serving(Hanging()) as hanging, ThreadPoolExecutor(2) as pool:
        assert shop.put(WHERE, json={"url": hanging.url, "key": KEY}).status_code == 200
        waiting = [pool.submit(shop.get, "/v1/content", params={"category": each}) for each in "ab"]
        try:
            assert all(hanging.come.acquire(timeout=10) for _ in waiting)
            for each in range(20):
                refused = shop.get("/v1/content", params={"category": f"c{each}"})
                assert (refused.status_code, refused.json()["code"]) == (429, "request.too_many_at_once")
                assert refused.headers["retry-after"] == "1"
            assert decided(shop)["content_blocks"] == []
            assert not any(each.done() for each in waiting)
        finally:
            hanging.may_answer.set()
        assert [each.result(30).status_code for each in waiting] == [200, 200]
        assert shop.get("/v1/content", params={"category": "c"}).status_code == 200


def test_who_asks_wrongly_does_not_take_the_texts_from_decisions(shop, source):
    ids = ",".join(f"{'i' * 90}{number}" for number in range(40))
    for _ in range(3):
        refused = shop.get("/v1/content", params={"ids": ids, "category": "spring"})
        assert (refused.status_code, refused.json()["field"]) == (422, "ids")
    source.status = 404
    for each in range(3):
        assert shop.get("/v1/content", params={"category": f"gone{each}"}).json()["items"] == []
    source.status = 403
    for each in range(3):
        assert shop.get("/v1/content", params={"category": f"secret{each}"}).status_code == 424
    source.status = 200
    assert decided(shop)["content"]["body"] == "From afar"


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k1"}], ids=["without a key", "with a key"])
def test_what_was_kept_is_forgotten_once_the_change_is_committed_and_not_before(
    shop, db, box, tenant, monkeypatch, headers
):
    seen = []

    def url():
        try:
            return ContentSources(db, box).get(tenant).url
        except NoSource:
            return None

    def forget(_texts, whose):
        assert whose == tenant.tenant
        with ThreadPoolExecutor(1) as other:
            seen.append(other.submit(url).result())

    monkeypatch.setattr(ContentTexts, "forget", forget)
    assert shop.put(WHERE, json=NEW, headers=headers).status_code == 200
    assert shop.delete(WHERE, headers=headers).status_code == 204
    assert seen == [NEW["url"], None]


def test_only_texts_of_types_that_are_allowed_are_told(shop, source):
    source.pages = {None: a_page(TEXT, TEXT | {"id": "r1", "type": "receipt"})}
    assert shop.put(WHERE, json={"url": source.url, "key": KEY, "types": ["receipt"]}).status_code == 200
    assert [each["id"] for each in shop.get("/v1/content").json()["items"]] == ["r1"]
    (block,) = decided(shop)["content_blocks"]
    assert (block["is_default"], block["reason"]) == (True, "content.missing")


def fetched(outcome):
    return REGISTRY.get_sample_value("kairos_content_fetches_total", {"outcome": outcome}) or 0.0


def test_a_decision_says_what_the_content_system_has_and_asks_it_once(shop, source, db, tenant):
    before = fetched("answered")
    answers = [decided(shop), decided(shop)]
    assert [each["content"]["body"] for each in answers] == ["From afar"] * 2
    assert source.asked == [{"category": "spring", "limit": "100"}]
    assert fetched("answered") == before + 1
    (block,) = answers[0]["content_blocks"]
    assert (block["slot"], block["is_default"], block["id"], len(block["sha256"])) == ("body", False, "t1", 64)
    source.pages = {None: a_page(TEXT | {"fields": {"body": "Changed"}})}
    assert shop.put(WHERE, json={"url": source.url, "key": KEY}).status_code == 200
    assert decided(shop)["content"]["body"] == "Changed"
    assert replayed(db, tenant) == [()] * 3


def replayed(db, tenant):
    """Return what a replay of each decision of the tenant makes otherwise."""
    definition = MessageTypes(db).all(tenant)[0].definition
    with db.tenant(tenant.tenant) as connection:
        records = connection.execute(select(decision.c.record)).scalars().all()
    return [differences(past(each, definition, published(each["versions"]["rules"]))) for each in records]


def test_a_repeat_says_what_was_said_though_the_source_says_otherwise_by_now(shop, source):
    first = decided(shop, key="k1")
    source.pages = {None: a_page(TEXT | {"fields": {"body": "Changed"}})}
    shop.delete(WHERE)
    assert decided(shop, key="k1") == first
    assert first["content"]["body"] == "From afar"


FALLBACKS = {
    "content.unavailable": lambda source: setattr(source, "status", 503),
    "content.missing": lambda source: source.pages.update({None: a_page(TEXT | {"locale": "fr"})}),
    "content.unfit": lambda source: source.pages.update({None: a_page(TEXT | {"fields": {"body": "Hi {{ name }}"}})}),
}


@pytest.mark.parametrize("reason", FALLBACKS)
def test_without_a_usable_text_the_type_says_its_own_and_says_why(shop, source, db, tenant, reason):
    FALLBACKS[reason](source)
    answer = decided(shop)
    (block,) = answer["content_blocks"]
    assert (answer["content"]["body"], block["is_default"], block["reason"]) == ("Our own", True, reason)
    assert (block["id"] == "t1") == (reason == "content.unfit")
    with db.tenant(tenant.tenant) as connection:
        record = connection.execute(select(decision.c.record)).scalar_one()
    assert [(each["slot"], each["reason"], each["fields"]) for each in record["blocks"]] == [("body", reason, {})]
    assert replayed(db, tenant) == [()]


def test_a_text_is_held_to_the_brand_rules_as_a_type_is(shop):
    assert shop.put("/v1/brand-rules", json={"required": [], "banned": ["afar"]}).status_code == 200
    answer = decided(shop)
    (block,) = answer["content_blocks"]
    assert (answer["content"]["body"], block["reason"]) == ("Our own", "content.unfit")


def test_a_source_that_was_taken_away_is_told_and_types_without_slots_tell_nothing(shop, db, tenant):
    assert shop.delete(WHERE).status_code == 204
    (block,) = decided(shop)["content_blocks"]
    assert block["reason"] == "content.unconfigured"
    MessageTypes(db).publish(tenant, [a_type(channels=["push"], **{"class": "transactional"})], actor="test")
    assert decided(shop)["content_blocks"] == []


def test_an_altered_text_is_found_by_the_replay(shop, db, tenant):
    decided(shop)
    definition = MessageTypes(db).all(tenant)[0].definition
    with db.tenant(tenant.tenant) as connection:
        record = connection.execute(select(decision.c.record)).scalar_one()
    record["blocks"][0]["fields"]["body"] = "Altered"
    (found,) = differences(past(record, definition, published(record["versions"]["rules"])))
    assert found.field == "blocks"
