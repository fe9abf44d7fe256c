"""Cursors: where the next page of a list begins, signed, so that a caller can hand back only what we gave them.

A cursor holds for one tenant, route, address and set of filters, and for a day. It names the last item of the page
before, never a count, so that what is added or removed meanwhile shifts nothing.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request
from pydantic import TypeAdapter

from serving.http.auth import Caller, PartsOf
from serving.http.errors import FieldError, Refused
from serving.http.problem_codes import declared

CURSOR_INVALID = declared(
    "cursor.invalid", 400, "The cursor was changed, or was given for another list, other filters or another tenant."
)
CURSOR_EXPIRED = declared("cursor.expired", 400, "The cursor is older than a day; begin with the first page again.")
LIFETIME = timedelta(hours=24)
MAX_CHARACTERS = 1_000
_MAC_BYTES = 32
_SHAPES_ONLY = frozenset({"cursor", "limit", "fields"})
"""Parameters that change what a page looks like and not which items the list has."""

NextCursor = str | None
P = TypeVar("P")
T = TypeVar("T")
Cursor = Annotated[
    str | None,
    Query(
        max_length=MAX_CHARACTERS,
        description="The `next_cursor` of the page before, with the same filters; absent begins the list.",
    ),
]


@dataclass(frozen=True)
class Page:
    """The page a request asks for."""

    key: bytes
    address: tuple[str, ...]
    given: str | None
    now: datetime

    def place(self, caller: Caller, form: type[P]) -> P | None:
        """Return the place of the last item of the page before, None at the beginning.

        Args:
            caller: who asks; the cursor must have been given to their tenant.
            form: the type of a place, as it was given to ``following``.

        Raises:
            Refused: 400, the cursor was changed, belongs elsewhere, or is too old.
        """
        if self.given is None:
            return None
        try:
            raw = base64.b64decode(self.given + "=" * (-len(self.given) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise _refused(CURSOR_INVALID, "The cursor is not one of ours.") from None
        mac, content = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        is_canonical = _encoded(raw) == self.given
        if not is_canonical or not hmac.compare_digest(mac, self._mac(caller, content)):
            raise _refused(CURSOR_INVALID, "The cursor is not one of ours, or was given for another list.")
        given_at, place = json.loads(content)
        if self.now - datetime.fromisoformat(given_at) > LIFETIME:
            raise _refused(CURSOR_EXPIRED, "The cursor is too old; begin with the first page again.")
        return TypeAdapter(form).validate_json(place)

    def following(self, caller: Caller, found: Sequence[T], limit: int, place: Callable[[T], Any]) -> str | None:
        """Return the cursor of the page after this one, None when this one is not full and so is the last."""
        if len(found) < limit:
            return None
        last = TypeAdapter(Any).dump_json(place(found[-1])).decode()
        content = json.dumps([self.now.isoformat(), last], separators=(",", ":")).encode()
        return _encoded(self._mac(caller, content) + content)

    def _mac(self, caller: Caller, content: bytes) -> bytes:
        framed = json.dumps([caller.tenant.tenant, *self.address]).encode() + b"\0" + content
        return hmac.new(self.key, framed, hashlib.sha256).digest()


def page(request: Request, parts: PartsOf, cursor: Cursor = None) -> Page:
    """Return the page that is asked for; its cursor is checked when the handler asks for the place."""
    filters = sorted(pair for pair in request.query_params.multi_items() if pair[0] not in _SHAPES_ONLY)
    address = (request.method, request.scope["route"].path, request.url.path, json.dumps(filters))
    return Page(parts.cursor_key, address, cursor, parts.clock.real())


PageOf = Annotated[Page, Depends(page)]


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _refused(code: str, detail: str) -> Refused:
    problem = FieldError(field="cursor", expected="the next_cursor of the page before, with the same filters")
    return Refused(code, detail, errors=[problem])
