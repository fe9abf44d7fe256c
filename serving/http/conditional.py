"""``If-None-Match``: who has the version that an answer would bring is told so, without its body (RFC 9110, 13.1.2).

The answer is made all the same, so a read of personal data is in the trail whether it is sent or not.
"""

import re
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_OF_A_BODY = frozenset({b"content-length", b"content-type", b"content-encoding"})
_OK, _NOT_MODIFIED = 200, 304


def conditional(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Declare that the answers of a GET have an ``ETag``; the OpenAPI document then says what can be done with it."""
    endpoint.is_conditional = True  # type: ignore[attr-defined]
    return endpoint


def is_conditional(endpoint: Callable[..., Any] | None) -> bool:
    """Return whether a route was declared so."""
    return getattr(endpoint, "is_conditional", False)


class Conditional:
    """ASGI middleware inside the compression: nothing is compressed that is not sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on; a GET whose answer the client has is answered with 304."""
        seen = ", ".join(Headers(scope=scope).getlist("if-none-match")) if scope["type"] == "http" else ""
        if not seen or scope["method"] not in {"GET", "HEAD"}:
            await self._app(scope, receive, send)
            return
        is_known = False

        async def answer(message: Message) -> None:
            nonlocal is_known
            if message["type"] == "http.response.start":
                is_known = message["status"] == _OK and matches(seen, Headers(raw=message["headers"]).get("etag"))
                if is_known:
                    kept = [pair for pair in message["headers"] if pair[0].lower() not in _OF_A_BODY]
                    message = {**message, "status": _NOT_MODIFIED, "headers": kept}
            elif is_known:
                message = {**message, "body": b""}
            await send(message)

        await self._app(scope, receive, answer)


def matches(seen: str, tag: str | None) -> bool:
    """Return whether an answer's tag is among those a client has seen, ``*`` being any; strong and weak are alike."""
    if tag is None:
        return False
    return seen.strip() == "*" or (
        _TAG.fullmatch(tag) is not None and tag.removeprefix("W/") in {f'"{each}"' for each in _TAG.findall(seen)}
    )
