"""Words of a content system in decisions: never waited for longer than there is time, asked for behind their back."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from adapters.cms import TooLong
from adapters.egress import Egress
from adapters.postgres.content_sources import Destination
from adapters.postgres.engine import Unavailable
from domain.content_blocks import BlockReason
from domain.policy import Action
from domain.tenants import Tenant
from serving.at_once import TooManyAtOnce
from serving.content_texts import AT_A_TIME, IDLE_SECONDS, REST_SECONDS, ContentTexts
from tests.builders import a_decision, a_situation, a_type
from tests.integration.test_cms import ITEM, KEY, Clock, Source, a_page, serving

TENANT = Tenant(tenant="shop", display_name="Shop", subject_secret=b"s" * 32)
TEXT = ITEM | {"channel": "push", "fields": {"body": "From afar"}}


class Slow(Source):
    """Answers when it may."""

    def __init__(self):
        super().__init__()
        self.pages = {None: a_page(TEXT)}
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.come = threading.Semaphore(0)
        """Of the requests that are here."""

    def answer(self, path, headers):
        self.come.release()
        self.may_answer.wait(30)
        return super().answer(path, headers)


@pytest.fixture
def source():
    with serving(Slow()) as found:
        yield found
        found.may_answer.set()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sources(source):
    """Where texts are, as PostgreSQL would say; it may be away."""
    kept = SimpleNamespace(asked=0, is_away=False, url=source.url, version=1, meanwhile=lambda: None)

    def destination(_tenant):
        kept.asked += 1
        if kept.is_away:
            raise Unavailable("away")
        found = Destination((datetime(2026, 3, 1, tzinfo=UTC), kept.version), kept.url, KEY)
        kept.meanwhile()
        return found

    kept.destination = destination
    return kept


@pytest.fixture
def texts(sources, clock):
    found = ContentTexts(sources, Egress(allow_loopback=True), keep_seconds=60, wait_seconds=20, monotonic=clock)
    yield found
    found.close()


def a_draft(category="c"):
    variant = {
        "id": "a",
        "sources": {"body": {"from": "cms", "category": category}},
        "content": {"push": {"body": "b"}},
    }
    draft = a_decision(situation=a_situation(definition=a_type(variants=[variant], channels=["push"])))
    assert draft.action == Action(channel="push", variant_id="a")
    return draft


def said(texts, seconds=None, category="c", tenant=TENANT.tenant):
    (block,) = texts.said(TENANT.model_copy(update={"tenant": tenant}), a_draft(category), seconds).blocks
    return block.reason or block.fields["body"]


def settle(texts):
    """Wait for everything that is under way."""
    for each in list(texts._under_way.values()):
        each.answer.result(30)


def test_no_decision_waits_longer_than_its_time_and_the_next_one_has_the_words(texts, source):
    source.may_answer.clear()
    assert said(texts, seconds=0.0) is BlockReason.LATE
    source.may_answer.set()
    settle(texts)
    assert said(texts, seconds=0.0) == "From afar"
    assert len(source.asked) == 1


def test_of_a_batch_only_the_first_waits_for_what_does_not_come(texts, source, clock):
    source.may_answer.clear()
    assert said(texts, seconds=0.0) is BlockReason.LATE
    clock.now = 21.0
    # Without a deadline, and yet at once: who waited before waited for all.
    assert said(texts) is BlockReason.LATE
    assert len(texts._under_way) == 1


def test_one_tenant_has_no_more_than_its_requests_under_way(texts, source):
    source.may_answer.clear()
    assert {said(texts, 0.0, category) for category in ("c", "d", "e", "f")} == {BlockReason.LATE}
    assert len(texts._under_way) == 2


def test_what_failed_rests_and_a_breaker_lets_nothing_through(texts, source, sources, clock):
    source.status = 503
    assert [said(texts) for _ in range(3)] == [BlockReason.UNAVAILABLE] * 3
    assert (len(source.asked), sources.asked) == (1, 1)
    assert {said(texts, category=each) for each in "defg"} == {BlockReason.UNAVAILABLE}
    assert len(source.asked) == 3
    source.status = 200
    clock.now = REST_SECONDS + 0.1
    assert said(texts, category="d") is BlockReason.UNAVAILABLE
    assert len(source.asked) == 3


def test_postgresql_away_is_no_fault_of_the_content_system(texts, sources, clock):
    sources.is_away = True
    assert said(texts) is BlockReason.UNAVAILABLE
    sources.is_away = False
    assert said(texts) is BlockReason.UNAVAILABLE
    clock.now = REST_SECONDS + 0.1
    assert said(texts) == "From afar"


def test_systems_that_hang_leave_threads_for_tenants_that_have_none(texts, source, sources):
    source.may_answer.clear()
    assert {said(texts, 0.0, each, tenant) for tenant in ("a", "b") for each in "cdef"} == {BlockReason.LATE}
    assert Counter(tenant for tenant, _ in texts._under_way) == {"a": 2, "b": 2}
    assert {said(texts, 0.0, each, tenant) for tenant in ("d", "e", "f") for each in "cdef"} == {BlockReason.LATE}
    assert Counter(tenant for tenant, _ in texts._under_way) == {"a": 2, "b": 2, "d": 1, "e": 1, "f": 1}
    assert len(texts._under_way) < AT_A_TIME
    with serving(Source()) as quick:
        quick.pages = {None: a_page(TEXT)}
        sources.url = quick.url
        assert said(texts, tenant="shop") == "From afar"


def test_readers_of_one_tenant_wait_two_at_a_time_and_hold_up_nobody(texts, source):
    texts.page("shop", {"category": "kept"}, None)
    source.come.acquire()
    source.may_answer.clear()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(texts.page, "shop", {"category": each}, None) for each in "ab"]
        for _ in waiting:
            assert source.come.acquire(timeout=10)
        with pytest.raises(TooManyAtOnce):
            texts.page("shop", {"category": "third"}, None)
        # What is at hand takes no place, and others have their own.
        assert texts.page("shop", {"category": "kept"}, None).items
        waiting.append(pool.submit(texts.page, "other", {"category": "a"}, None))
        assert source.come.acquire(timeout=10)
        source.may_answer.set()
        assert all(each.result(30).items for each in waiting)
    assert texts.page("shop", {"category": "third"}, None).items


@pytest.mark.parametrize("status", [404, 410, 400, 403, 422])
def test_questions_that_it_has_no_answer_to_leave_the_others_answered(texts, source, status):
    source.status = status
    reason = BlockReason.MISSING if status in (404, 410) else BlockReason.UNAVAILABLE
    assert [said(texts, category=each) for each in "abcd"] == [reason] * 4
    source.status = 200
    assert said(texts, category="e") == "From afar"


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_fault_of_the_whole_is_met_three_times(texts, source, status):
    source.status = status
    assert [said(texts, category=each) for each in "abcd"] == [BlockReason.UNAVAILABLE] * 4
    assert len(source.asked) == 3


def test_a_question_that_is_too_long_is_no_fault_of_the_content_system(texts, source):
    asked = {"ids": ",".join(f"{'i' * 90}{number}" for number in range(40))}
    for _ in range(3):
        with pytest.raises(TooLong):
            texts.page("shop", asked, None)
    assert said(texts) == "From afar"
    assert len(source.asked) == 1


def test_what_nobody_used_for_a_while_is_forgotten_and_its_memory_given_back(texts, source, clock):
    assert [said(texts, tenant=each) for each in ("shop", "other")] == ["From afar"] * 2
    held = texts._pages.size
    for clock.now in (IDLE_SECONDS / 2, IDLE_SECONDS + 1):
        assert texts.page("shop", {"category": "c"}, None).items
    assert list(texts._standing) == ["shop"]
    assert texts._pages.size == held / 2


def test_a_source_that_is_replaced_or_forgotten_leaves_nothing_behind(texts, sources):
    said(texts)
    held = texts._pages.size
    sources.version = 2
    texts.page("shop", {"category": "c"}, None)
    assert texts._pages.size == held
    texts.forget("shop")
    assert texts._pages.size == 0


def test_a_source_that_was_read_before_it_was_changed_is_not_kept(texts, source, sources):
    with serving(Source()) as other:
        other.pages = {None: a_page(TEXT | {"fields": {"body": "Changed"}})}

        def change():
            sources.url, sources.version, sources.meanwhile = other.url, 2, lambda: None
            texts.forget("shop")

        sources.meanwhile = change
        assert said(texts) == "From afar"
        assert said(texts) == "Changed"
