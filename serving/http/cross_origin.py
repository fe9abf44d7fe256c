"""Which pages of other origins a browser lets read our answers: none, but those a setting names."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ASKED = ("Authorization", "X-API-Key", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "X-Request-ID")
_SHOWN = ("ETag", "Retry-After", "X-Request-ID", "Idempotent-Replayed")


class CrossOrigin:
    """ASGI middleware; the settings are known when the first request comes. No cookies: a credential is a header."""

    def __init__(self, app: ASGIApp) -> None:
        self._closed = app
        self._open: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or answer a browser that asks whether it may send it."""
        named = scope["app"].state.parts.settings.cors_origins if scope["type"] == "http" else ""
        if not named:
            await self._closed(scope, receive, send)
            return
        if self._open is None:
            origins = [each.strip() for each in named.split(",")]
            self._open = CORSMiddleware(
                self._closed,
                allow_origins=origins,
                allow_methods=_METHODS,
                allow_headers=_ASKED,
                expose_headers=_SHOWN,
            )
        await self._open(scope, receive, send)
