"""A content system over HTTP: texts by segment and type, by ids or by category, page by page, kept for a while.

What comes is data of somebody else: read strictly, bounded in size, number and time, and linted before it is said.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field, StringConstraints, ValidationError

from adapters.egress import Answer, Egress, Limits, Unreachable
from adapters.kept_answers import KeptAnswers
from domain import strict_json
from domain.content_blocks import SourceText
from domain.outside import MAX_URL, Forbidden
from domain.strict_json import StrictJsonError
from domain.values import Frozen

LIMITS = Limits(connect_seconds=3.0, read_seconds=5.0, total_seconds=5.0, answer_bytes=1024 * 1024)
PAGE_ITEMS = 100
MAX_PAGES = 20
MAX_IDS = 50
MOST_KEPT_BYTES = 64 * 1024 * 1024
"""Of answers kept at a time, of all content systems that one process asks."""
STALE_TIMES = 10
"""A page is kept so many times as long as it is fresh: better old words than none, for who does not want to wait."""
_OK = 200
_REFUSED = 4
"""The first digit of a status that lays the fault on who asks."""
_NO_TEXTS = frozenset({404, 410})
_OF_THE_WHOLE = frozenset({401, 429})
"""Refusals that any question would meet: the key is not valid, or it has asked too much.

403 is none of them: a system may keep some categories from a key, and who asks for one of these three times must not
switch the others off.
"""
_ITEM_BYTES = 1_500
_FIELD_BYTES = 100
"""What a text and each of its fields take beside their words."""

Cursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_=.-]{1,200}$")]


class Page(Frozen):
    """Some texts, and what to ask with for the next; None after the last."""

    items: tuple[SourceText, ...] = Field(max_length=PAGE_ITEMS)
    next: Cursor | None = None


Pages = KeptAnswers[tuple[float, Page]]
"""Pages with the time until which each is fresh."""


@dataclass(frozen=True)
class Kept:
    """Texts that were had before, and whether they are still fresh."""

    texts: tuple[SourceText, ...]
    is_fresh: bool


def question(
    *, message_type: str | None = None, segment: str | None = None, ids: Sequence[str] = (), category: str | None = None
) -> dict[str, str]:
    """Return what a content system is asked, as parameters in one order.

    Raises:
        ValueError: there are more than ``MAX_IDS``.
    """
    if len(ids) > MAX_IDS:
        raise ValueError(f"expected at most {MAX_IDS} ids")
    told = {"segment": segment, "type": message_type, "ids": ",".join(sorted(set(ids))) or None, "category": category}
    return {name: value for name, value in told.items() if value is not None}


class CmsUnavailable(RuntimeError):
    """A question got no usable answer; the message repeats nothing that came, nor the key."""


class CmsDown(CmsUnavailable):
    """It got none for a reason that lies in the content system: another question would hardly fare better."""


class TooLong(CmsUnavailable):
    """The question does not go into a URL; nothing was asked."""


class Cms:
    """Asks one content system."""

    def __init__(
        self,
        url: str,
        key: str,
        egress: Egress,
        *,
        keep_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        calling: Callable[[], AbstractContextManager[None]] = nullcontext,
        pages: Pages | None = None,
        owner: str = "",
    ) -> None:
        """Ask nothing yet.

        Args:
            url: of the list of content; questions are added as its query.
            key: sent as a bearer token, to this address only: no redirect is followed.
            egress: the way out, which refuses private addresses.
            keep_seconds: for how long an answer may be given again.
            clock: seconds, only ever growing.
            calling: a block around each request, such as a breaker's; what it raises is raised.
            pages: where answers are kept, together with those of other content systems.
            owner: whose answers these are there.
        """
        self._url = url
        self._key = key
        self._egress = egress
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._calling = calling
        self._pages: Pages = pages if pages is not None else KeptAnswers(MOST_KEPT_BYTES)
        self._owner = owner
        self._edition = object()

    def page(self, question: Mapping[str, str], cursor: str | None = None) -> Page:
        """Return one page of the answer to a question, from what is kept while it is fresh.

        Raises:
            CmsUnavailable: no well-formed answer could be had.
        """
        found = self.fresh(question, cursor)
        return found if found is not None else self._fetched(_with(question, cursor))

    def fresh(self, question: Mapping[str, str], cursor: str | None = None) -> Page | None:
        """Return one page of the answer to a question as far as it is kept and fresh; asks nobody."""
        found = self._found(urlencode(_with(question, cursor)))
        return found[1] if found is not None and self._clock() < found[0] else None

    def all(self, question: Mapping[str, str]) -> tuple[SourceText, ...]:
        """Return every text that answers a question.

        Raises:
            CmsUnavailable: no complete and well-formed answer could be had, or not in time.
        """
        items: list[SourceText] = []
        cursor: str | None = None
        ends = time.monotonic() + LIMITS.total_seconds
        for _ in range(MAX_PAGES):
            page = self.page(question, cursor)
            items += page.items
            cursor = page.next
            if cursor is None:
                return tuple(items)
            if time.monotonic() > ends:
                raise CmsUnavailable(f"the content system takes more than {LIMITS.total_seconds:.0f} seconds")
        raise CmsUnavailable(f"the content system has more than {MAX_PAGES} pages")

    def kept(self, question: Mapping[str, str]) -> Kept | None:
        """Return every text that answers a question as far as it is kept, however old; asks nobody and never waits."""
        items: list[SourceText] = []
        asked, is_fresh = dict(question), True
        for _ in range(MAX_PAGES):
            found = self._found(urlencode(asked))
            if found is None:
                return None
            items += found[1].items
            is_fresh &= self._clock() < found[0]
            if found[1].next is None:
                return Kept(tuple(items), is_fresh)
            asked = {**question, "cursor": found[1].next}
        return None

    def _fetched(self, question: Mapping[str, str]) -> Page:
        page = self._asked(question)
        key = urlencode(question)
        kept = (self._clock() + self._keep_seconds, page)
        self._pages.put(self._owner, (self._edition, key), kept, _bytes_of(key, page))
        return page

    def _found(self, key: str) -> tuple[float, Page] | None:
        found = self._pages.get(self._owner, (self._edition, key))
        if found is not None and self._clock() >= found[0] + (STALE_TIMES - 1) * self._keep_seconds:
            self._pages.remove(self._owner, (self._edition, key))
            return None
        return found

    def _asked(self, question: Mapping[str, str]) -> Page:
        joint = "&" if "?" in self._url else "?"
        url = f"{self._url}{joint}{urlencode({**question, 'limit': PAGE_ITEMS})}"
        if question and len(url) > MAX_URL >= len(self._url):
            raise TooLong(f"the question makes a URL of more than {MAX_URL} characters")
        with self._calling():
            page = _read(self._response(url), question)
        # What was not asked for is not believed.
        return page.model_copy(update={"items": tuple(each for each in page.items if _answers(each, question))})

    def _response(self, url: str) -> Answer:
        try:
            return self._egress.get(url, {"Authorization": f"Bearer {self._key}", "Accept": "application/json"})
        except Forbidden as error:
            # Nothing was connected, so nothing is known of how the system is.
            raise CmsUnavailable(f"the content system cannot be asked: {error}") from None
        except Unreachable as error:
            raise CmsDown(f"the content system cannot be asked: {error}") from None


def _with(question: Mapping[str, str], cursor: str | None) -> dict[str, str]:
    return {**question, **({"cursor": cursor} if cursor is not None else {})}


def _bytes_of(key: str, page: Page) -> int:
    """Return about how much memory a kept page takes: words in wide characters take up to four bytes each."""
    words = (len(each.fields) * _FIELD_BYTES + sum(map(sys.getsizeof, each.fields.values())) for each in page.items)
    return len(key) + _ITEM_BYTES * (1 + len(page.items)) + sum(words)


def _answers(text: SourceText, question: Mapping[str, str]) -> bool:
    """Tell whether a text answers a question; what it does not say of itself, it does not contradict."""
    if "ids" in question and text.id not in question["ids"].split(","):
        return False
    told = ((question.get(name), getattr(text, name)) for name in ("type", "segment", "category"))
    return all(said is None or asked in (None, said) for asked, said in told)


def _read(answer: Answer, question: Mapping[str, str]) -> Page:
    if answer.status in _NO_TEXTS and question and "cursor" not in question:
        # It knows nothing of this name. The list itself, and a page that was promised, have to be there.
        return Page(items=())
    if answer.status != _OK:
        raise _refusal(answer.status)
    if answer.is_cut:
        raise CmsDown(f"the content system answers more than {LIMITS.answer_bytes} bytes")
    try:
        return Page.model_validate(strict_json.loads(answer.body, max_bytes=LIMITS.answer_bytes))
    except StrictJsonError as error:
        raise CmsDown(f"the content system answers no JSON we read: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part)[:40] for part in first["loc"])
        raise CmsDown(f"the content system answers {place} that is not as expected: {first['type']}") from None


def _refusal(status: int) -> CmsUnavailable:
    is_of_the_question = status // 100 == _REFUSED and status not in _OF_THE_WHOLE
    refusal = CmsUnavailable if is_of_the_question else CmsDown
    return refusal(f"the content system answers {status}")
