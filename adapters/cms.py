"""A content system over HTTP: texts by segment and type, by ids or by category, page by page, kept for a while.

What comes is data of somebody else: read strictly, bounded in size, number and time, and linted before it is said.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field, StringConstraints, ValidationError

from adapters.egress import Answer, Egress, Limits, Unreachable
from domain import strict_json
from domain.content_blocks import SourceText
from domain.outside import Forbidden
from domain.strict_json import StrictJsonError
from domain.values import Frozen

LIMITS = Limits(connect_seconds=3.0, read_seconds=5.0, total_seconds=5.0, answer_bytes=1024 * 1024)
PAGE_ITEMS = 100
MAX_PAGES = 20
MAX_IDS = 50
MOST_KEPT = 200
"""Answers kept at a time; the one that was used longest ago leaves first."""
STALE_TIMES = 10
"""A page is kept so many times as long as it is fresh: better old words than none, for who does not want to wait."""
_OK = 200

Cursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_=.-]{1,200}$")]


class Page(Frozen):
    """Some texts, and what to ask with for the next; None after the last."""

    items: tuple[SourceText, ...] = Field(max_length=PAGE_ITEMS)
    next: Cursor | None = None


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
    """The content system gave no usable answer; the message repeats nothing that came, nor the key."""


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
    ) -> None:
        """Ask nothing yet.

        Args:
            url: of the list of content; questions are added as its query.
            key: sent as a bearer token, to this address only: no redirect is followed.
            egress: the way out, which refuses private addresses.
            keep_seconds: for how long an answer may be given again.
            clock: seconds, only ever growing.
        """
        self._url = url
        self._key = key
        self._egress = egress
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._pages: OrderedDict[str, tuple[float, Page]] = OrderedDict()

    def page(self, question: Mapping[str, str], cursor: str | None = None) -> Page:
        """Return one page of the answer to a question, from what is kept while it is fresh.

        Raises:
            CmsUnavailable: no well-formed answer could be had.
        """
        return self._page({**question, **({"cursor": cursor} if cursor is not None else {})})

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

    def _page(self, question: Mapping[str, str]) -> Page:
        key = urlencode(question)
        found = self._found(key)
        if found is not None and self._clock() < found[0]:
            return found[1]
        page = self._asked(question)
        with self._lock:
            self._pages[key] = (self._clock() + self._keep_seconds, page)
            self._pages.move_to_end(key)
            while len(self._pages) > MOST_KEPT:
                self._pages.popitem(last=False)
        return page

    def _found(self, key: str) -> tuple[float, Page] | None:
        with self._lock:
            found = self._pages.get(key)
            if found is not None and self._clock() >= found[0] + (STALE_TIMES - 1) * self._keep_seconds:
                del self._pages[key]
                return None
            if found is not None:
                self._pages.move_to_end(key)
            return found

    def _asked(self, question: Mapping[str, str]) -> Page:
        joint = "&" if "?" in self._url else "?"
        url = f"{self._url}{joint}{urlencode({**question, 'limit': PAGE_ITEMS})}"
        try:
            answer = self._egress.get(url, {"Authorization": f"Bearer {self._key}", "Accept": "application/json"})
        except (Forbidden, Unreachable) as error:
            raise CmsUnavailable(f"the content system cannot be asked: {error}") from None
        page = _read(answer)
        # What was not asked for is not believed.
        return page.model_copy(update={"items": tuple(each for each in page.items if _answers(each, question))})


def _answers(text: SourceText, question: Mapping[str, str]) -> bool:
    """Tell whether a text answers a question; what it does not say of itself, it does not contradict."""
    if "ids" in question and text.id not in question["ids"].split(","):
        return False
    told = ((question.get(name), getattr(text, name)) for name in ("type", "segment", "category"))
    return all(said is None or asked in (None, said) for asked, said in told)


def _read(answer: Answer) -> Page:
    if answer.status != _OK:
        raise CmsUnavailable(f"the content system answers {answer.status}")
    if answer.is_cut:
        raise CmsUnavailable(f"the content system answers more than {LIMITS.answer_bytes} bytes")
    try:
        return Page.model_validate(strict_json.loads(answer.body, max_bytes=LIMITS.answer_bytes))
    except StrictJsonError as error:
        raise CmsUnavailable(f"the content system answers no JSON we read: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part)[:40] for part in first["loc"])
        raise CmsUnavailable(f"the content system answers {place} that is not as expected: {first['type']}") from None
