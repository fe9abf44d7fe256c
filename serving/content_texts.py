"""Texts of tenants' content systems for decisions and for who reads them: from memory, and asked for behind their back.

A decision waits for a first answer for a moment at most. What is kept and too old is said once more while it is asked
for anew; what failed is not asked again at once.
"""

import threading
import time
from collections import Counter as Counts
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import urlencode

import structlog
from prometheus_client import Counter

from adapters.cms import LIMITS, MOST_KEPT_BYTES, STALE_TIMES, Cms, CmsUnavailable, Page, Pages, TooLong, question
from adapters.egress import Egress
from adapters.kept_answers import KeptAnswers
from adapters.postgres.content_sources import ContentSources, Destination
from adapters.postgres.engine import Unavailable
from adapters.secrets import CannotOpen
from adapters.settings import Settings
from domain.content_blocks import BlockReason, Named, SourceText
from domain.decisioning import Draft, wanted_of_source
from domain.tenants import Tenant
from serving.at_once import AtOnce
from serving.breakers import Open, content_system

AT_A_TIME = 8
MOST_OF_A_TENANT = 2
"""Requests under way to one tenant's content system; once half of the threads are taken, one."""
IDLE_SECONDS = 900.0
"""A content system that nobody used for so long is forgotten with what is kept of it."""
REST_SECONDS = 5.0
"""What could not be had is not asked for again within so many."""
log = structlog.get_logger("kairos.content")
_FETCHES = Counter(
    "kairos_content_fetches", "Answers of content systems, by what became of asking for them.", ("outcome",)
)
_HITS = Counter("kairos_content_cache_hits", "Texts that were at hand, fresh or a little too old.", ("age",))
_FALLBACKS = Counter("kairos_content_fallbacks", "Slots that said their default, by why.", ("reason",))

Texts = tuple[SourceText, ...]
Answered = TypeVar("Answered")


@dataclass(frozen=True)
class _Standing:
    """What one tenant's content system is like now."""

    destination: Destination
    cms: Cms
    used: float


@dataclass(frozen=True)
class _UnderWay:
    """An answer that is to come, and since when it is waited for."""

    answer: Future[Texts | BlockReason]
    since: float


class ContentTexts:
    """Gives texts of content systems."""

    def __init__(
        self,
        sources: ContentSources,
        egress: Egress,
        *,
        keep_seconds: float,
        wait_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask nothing yet.

        Args:
            sources: where each tenant's texts are.
            egress: the way out, which refuses private addresses.
            keep_seconds: for how long an answer is fresh.
            wait_seconds: how long a decision waits at most for what is not at hand.
            monotonic: the clock.
        """
        self._sources = sources
        self._egress = egress
        self._keep_seconds = keep_seconds
        self._wait_seconds = wait_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._changes: Counts[str] = Counts()
        self._pages: Pages = KeptAnswers(MOST_KEPT_BYTES)
        self._readers = AtOnce()
        self._standing: OrderedDict[str, _Standing] = OrderedDict()
        self._unconfigured: dict[str, float] = {}
        self._resting: dict[tuple[str, str], float] = {}
        self._under_way: dict[tuple[str, str], _UnderWay] = {}
        self._pool = ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="content")

    @classmethod
    def of(cls, settings: Settings, sources: ContentSources) -> "ContentTexts":
        """Return what asks for texts in this installation."""
        return cls(
            sources,
            Egress.of(settings, LIMITS),
            keep_seconds=settings.cms_cache_seconds,
            wait_seconds=settings.content_wait_ms / 1000,
        )

    def close(self) -> None:
        """Ask no more; what is under way is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._egress.close()

    def forget(self, tenant: str) -> None:
        """Forget everything of a tenant whose source was changed; other processes do within ``keep_seconds``.

        The change has to be committed: what is read before that is the source as it was.
        """
        with self._lock:
            self._changes[tenant] += 1
            self._leave(tenant)
            self._unconfigured.pop(tenant, None)
            self._resting = {key: until for key, until in self._resting.items() if key[0] != tenant}

    def page(self, tenant: str, asked: Mapping[str, str], cursor: str | None) -> Page | None:
        """Return one page of a tenant's texts for who reads them, None where the tenant has no source.

        Raises:
            TooLong: the question does not go into a URL.
            CmsUnavailable: no well-formed answer could be had.
            Open: the content system did not answer lately, so that it was not asked.
            TooManyAtOnce: as many readers of the tenant as may are waiting for it.
            Unavailable: PostgreSQL is away.
        """
        standing = self._read(tenant)
        if standing is None:
            return None
        page = standing.cms.fresh(asked, cursor)
        if page is not None:
            _HITS.labels("fresh").inc()
        else:
            with self._readers.place(tenant):
                page = _counted(lambda: standing.cms.page(asked, cursor))
        return page.model_copy(update={"items": _allowed(standing, page.items)})

    def said(self, tenant: Tenant, draft: Draft, seconds: float | None) -> Draft:
        """Return a decision with what its content system says in each slot that wants it.

        Args:
            tenant: whose.
            draft: as it was drawn.
            seconds: what is left of its time, None without a deadline; what is at hand takes none.
        """
        wanted = wanted_of_source(draft)
        if wanted is None:
            return draft
        ends = self._monotonic() + (self._wait_seconds if seconds is None else seconds)
        blocks = wanted.of(lambda named: self._texts(tenant.tenant, named, ends))
        for block in blocks:
            if block.reason is not None:
                _FALLBACKS.labels(block.reason.value).inc()
        standing = self._standing.get(tenant.tenant)
        return replace(draft, blocks=blocks, brand=standing.destination.brand if standing is not None else draft.brand)

    def _texts(self, tenant: str, named: Named, ends: float) -> Texts | BlockReason:
        name, value = named.question
        asked = question(ids=[value]) if name == "ids" else question(category=value)
        with self._lock:
            standing = self._used(tenant)
            if standing is None and self._unconfigured.get(tenant, 0.0) > self._monotonic():
                return BlockReason.UNCONFIGURED
        kept = standing.cms.kept(asked) if standing is not None else None
        if standing is not None and kept is not None:
            _HITS.labels("fresh" if kept.is_fresh else "stale").inc()
            if not kept.is_fresh:
                self._begun(tenant, asked)
            return _allowed(standing, kept.texts)
        begun = self._begun(tenant, asked)
        if isinstance(begun, BlockReason):
            return begun
        try:
            # Counted from its beginning: of a large batch only the first waits for what does not come.
            ends = min(ends, begun.since + self._wait_seconds)
            return begun.answer.result(max(0.0, ends - self._monotonic()))
        except TooSlow:
            _FETCHES.labels("late").inc()
            return BlockReason.LATE

    def _begun(self, tenant: str, asked: Mapping[str, str]) -> _UnderWay | BlockReason:
        """Return the answer to come to a question, or why it is not asked now."""
        key = (tenant, urlencode(asked))
        with self._lock:
            if self._resting.get(key, 0.0) > self._monotonic():
                return BlockReason.UNAVAILABLE
            if key not in self._under_way:
                mine = sum(whose == tenant for whose, _ in self._under_way)
                # Systems that hang leave threads for tenants that have none.
                if mine >= (MOST_OF_A_TENANT if len(self._under_way) < AT_A_TIME // 2 else 1):
                    return BlockReason.LATE
                self._under_way[key] = _UnderWay(self._pool.submit(self._asked, key, asked), self._monotonic())
            return self._under_way[key]

    def _asked(self, key: tuple[str, str], asked: Mapping[str, str]) -> Texts | BlockReason:
        try:
            standing = self._read(key[0])
            if standing is None:
                return BlockReason.UNCONFIGURED
            return _allowed(standing, _counted(lambda: standing.cms.all(asked)))
        except (CmsUnavailable, Open, Unavailable, CannotOpen) as error:
            log.warning("content.unavailable", tenant=key[0], problem=str(error))
            self._rest(key)
            return BlockReason.UNAVAILABLE
        finally:
            with self._lock:
                self._under_way.pop(key, None)

    def _rest(self, key: tuple[str, str]) -> None:
        now = self._monotonic()
        with self._lock:
            self._resting = {each: until for each, until in self._resting.items() if until > now}
            self._resting[key] = now + REST_SECONDS

    def _read(self, tenant: str) -> _Standing | None:
        """Return the tenant's content system as it is set now."""
        with self._lock:
            changes = self._changes[tenant]
        destination = self._sources.destination(tenant)
        with self._lock:
            self._sweep()
            if changes != self._changes[tenant]:
                # Changed meanwhile, and perhaps read before: used now, and not kept for who comes later.
                return self._new(tenant, destination) if destination is not None else None
            if destination is None:
                self._leave(tenant)
                self._unconfigured[tenant] = self._monotonic() + self._keep_seconds
                return None
            standing = self._standing.get(tenant)
            if standing is None or standing.destination.edition != destination.edition:
                self._leave(tenant)
                standing = self._new(tenant, destination)
            self._standing[tenant] = replace(standing, destination=destination)
            return self._used(tenant)

    def _new(self, tenant: str, destination: Destination) -> _Standing:
        cms = Cms(
            destination.url,
            destination.key,
            self._egress,
            keep_seconds=self._keep_seconds,
            calling=content_system(tenant).calling,
            pages=self._pages,
            owner=tenant,
        )
        return _Standing(destination, cms, self._monotonic())

    def _used(self, tenant: str) -> _Standing | None:
        """Return what is known of a tenant's content system, used now."""
        standing = self._standing.get(tenant)
        if standing is not None:
            standing = self._standing[tenant] = replace(standing, used=self._monotonic())
            self._standing.move_to_end(tenant)
        return standing

    def _leave(self, tenant: str) -> None:
        self._standing.pop(tenant, None)
        self._pages.drop(tenant)

    def _sweep(self) -> None:
        since = self._monotonic() - max(IDLE_SECONDS, STALE_TIMES * self._keep_seconds)
        while self._standing and next(iter(self._standing.values())).used < since:
            self._leave(next(iter(self._standing)))


def _allowed(standing: _Standing, texts: Texts) -> Texts:
    return tuple(each for each in texts if standing.destination.may_ask_about(each.type))


def _counted(ask: Callable[[], Answered]) -> Answered:
    """Ask, and count what became of it."""
    try:
        answered = ask()
    except TooLong:
        # Nothing was asked.
        raise
    except (CmsUnavailable, Open) as error:
        _FETCHES.labels("refused" if isinstance(error, Open) else "unavailable").inc()
        raise
    _FETCHES.labels("answered").inc()
    return answered
