"""A content system over HTTP: texts by segment and type, by ids or by category, page by page, kept for a while.

What comes is data of somebody else: read strictly, bounded in size and number, linted like everything else before it
is a variant, and never a template of ours until it was published.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field, StringConstraints, ValidationError

from adapters.egress import Answer, Egress, Limits, Unreachable
from adapters.settings import Settings
from domain import strict_json
from domain.outside import Forbidden
from domain.profiles import Locale
from domain.strict_json import StrictJsonError
from domain.values import Channel, Frozen

LIMITS = Limits(connect_seconds=3.0, read_seconds=5.0, total_seconds=5.0, answer_bytes=1024 * 1024)
PAGE_ITEMS = 100
MAX_PAGES = 20
MAX_IDS = 50
MOST_KEPT = 200
"""Answers kept at a time; the one that was used longest ago leaves first."""
_OK = 200

Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
Cursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_=.-]{1,200}$")]


class CmsItem(Frozen):
    """One text of the content system, on one channel in one language."""

    id: Label
    type: Label
    segment: Label | None = None
    category: Label | None = None
    channel: Channel
    locale: Locale
    fields: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,39}$")], Words] = Field(
        min_length=1, max_length=20
    )


class _Page(Frozen):
    items: tuple[CmsItem, ...] = Field(max_length=PAGE_ITEMS)
    next: Cursor | None = None


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
        self._kept: OrderedDict[str, tuple[float, tuple[CmsItem, ...]]] = OrderedDict()

    @classmethod
    def of(cls, settings: Settings) -> "Cms | None":
        """Return the content system of this installation, None when there is none: it is off unless set."""
        if settings.cms_url is None or settings.cms_key is None:
            return None
        way = Egress.of(settings, LIMITS)
        return cls(settings.cms_url, settings.cms_key.get_secret_value(), way, keep_seconds=settings.cms_cache_seconds)

    def by_segment(self, segment: str, message_type: str) -> tuple[CmsItem, ...]:
        """Return the texts for a segment and a message type.

        Raises:
            CmsUnavailable: no complete and well-formed answer could be had.
        """
        return self._all({"segment": segment, "type": message_type})

    def by_ids(self, ids: Sequence[str]) -> tuple[CmsItem, ...]:
        """Return the texts with these ids, in the order the system gives them; unknown ones are left out.

        Raises:
            CmsUnavailable: no complete and well-formed answer could be had.
            ValueError: there are more than ``MAX_IDS``.
        """
        if len(ids) > MAX_IDS:
            raise ValueError(f"expected at most {MAX_IDS} ids")
        wanted = set(ids)
        return tuple(item for item in self._all({"ids": ",".join(sorted(wanted))}) if item.id in wanted) if ids else ()

    def by_category(self, category: str) -> tuple[CmsItem, ...]:
        """Return the texts of a category.

        Raises:
            CmsUnavailable: no complete and well-formed answer could be had.
        """
        return self._all({"category": category})

    def close(self) -> None:
        """Ask no more."""
        self._egress.close()

    def _all(self, question: Mapping[str, str]) -> tuple[CmsItem, ...]:
        key, now = urlencode(question), self._clock()
        found = self._kept.get(key)
        if found is not None and now < found[0]:
            self._kept.move_to_end(key)
            return found[1]
        items = self._asked(question)
        self._kept[key] = (now + self._keep_seconds, items)
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return items

    def _asked(self, question: Mapping[str, str]) -> tuple[CmsItem, ...]:
        items: list[CmsItem] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = self._page(dict(question) | ({"cursor": cursor} if cursor is not None else {}))
            items += page.items
            cursor = page.next
            if cursor is None:
                return tuple(items)
        raise CmsUnavailable(f"the content system has more than {MAX_PAGES} pages")

    def _page(self, question: Mapping[str, str]) -> _Page:
        joint = "&" if "?" in self._url else "?"
        url = f"{self._url}{joint}{urlencode({**question, 'limit': PAGE_ITEMS})}"
        try:
            answer = self._egress.get(url, {"Authorization": f"Bearer {self._key}", "Accept": "application/json"})
        except (Forbidden, Unreachable) as error:
            raise CmsUnavailable(f"the content system cannot be asked: {error}") from None
        return _read(answer)


def _read(answer: Answer) -> _Page:
    if answer.status != _OK:
        raise CmsUnavailable(f"the content system answers {answer.status}")
    if answer.is_cut:
        raise CmsUnavailable(f"the content system answers more than {LIMITS.answer_bytes} bytes")
    try:
        return _Page.model_validate(strict_json.loads(answer.body, max_bytes=LIMITS.answer_bytes))
    except StrictJsonError as error:
        raise CmsUnavailable(f"the content system answers no JSON we read: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part)[:40] for part in first["loc"])
        raise CmsUnavailable(f"the content system answers {place} that is not as expected: {first['type']}") from None
