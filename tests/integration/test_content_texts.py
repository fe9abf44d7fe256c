"""Words of a content system in decisions: never waited for longer than there is time, asked for behind their back."""

import threading
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from adapters.egress import Egress
from adapters.postgres.content_sources import Destination
from adapters.postgres.engine import Unavailable
from domain.content_blocks import BlockReason
from domain.policy import Action
from domain.tenants import Tenant
from serving.content_texts import REST_SECONDS, ContentTexts
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

    def answer(self, path, headers):
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
    kept = SimpleNamespace(asked=0, is_away=False)

    def destination(_tenant):
        kept.asked += 1
        if kept.is_away:
            raise Unavailable("away")
        return Destination((datetime(2026, 3, 1, tzinfo=UTC), 1), source.url, KEY)

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


def said(texts, seconds=None, category="c"):
    (block,) = texts.said(TENANT, a_draft(category), seconds).blocks
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
